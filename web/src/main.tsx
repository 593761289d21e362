import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { cacheExchange, Client, fetchExchange, Provider, useQuery } from 'urql';
import { graphql } from './graphql/generated/index.ts';

const ViewerQuery = graphql(`
  query Viewer {
    viewer {
      id
    }
  }
`);

const client = new Client({ url: '/graphql', exchanges: [cacheExchange, fetchExchange] });

function Viewer() {
  const [{ data }] = useQuery({ query: ViewerQuery });
  return <p>{data ? `Signed in as ${data.viewer.id}` : 'Nobody is signed in.'}</p>;
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <Provider value={client}>
      <Viewer />
    </Provider>
  </StrictMode>,
);
