import { graphql } from '../graphql/generated/index.ts';

/** Ends a reply that is being written; what has come stays. */
export const StopReply = graphql(/* GraphQL */ `
  mutation StopReply($id: ID!) {
    stopReply(id: $id) {
      id
    }
  }
`);
