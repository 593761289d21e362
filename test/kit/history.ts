import postgres from 'postgres';
import { type Any, type Client, failureOf } from './client.ts';

const PAGE = `query Page($after: String) { chatHistory(first: 100, after: $after) {
  nodes { id message response status createdAt }
  pageInfo { hasNextPage endCursor }
} }`;

export interface Exchange {
  readonly id: string;
  readonly message: string;
  readonly response: string;
  readonly status: string;
}

/** All of a history, oldest first, page by page over the API. */
export async function readHistory(client: Client): Promise<Exchange[]> {
  const nodes: Exchange[] = [];
  for (let after: string | undefined; ; ) {
    const answer = await client.ask<Any>(PAGE, { after });
    const page = answer.data?.chatHistory;
    if (!page) throw new Error(`The history could not be read: ${failureOf(answer)}`);
    nodes.push(...page.nodes);
    if (!page.pageInfo.hasNextPage) return nodes.reverse();
    after = page.pageInfo.endCursor;
  }
}

/** The same straight from the table. */
export async function storedHistory(ownerUrl: string, userId: string): Promise<Exchange[]> {
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  try {
    return await sql<Exchange[]>`select id, message, response, status from chat_history
      where user_id = ${userId} order by created_at, id`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
