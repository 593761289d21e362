/** Behind it the id of a user, whose page the floor sends. */
export const FLOOR_KEY = 'floor:';

/** The page that is measured: what the web client shows of an exchange. */
export const PAGE = `query Page($first: Int!, $offset: Int) {
  chatHistory(first: $first, offset: $offset) {
    nodes { id message response status createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`;

/** The page behind a cursor, as a client scrolls. */
export const PAGE_AFTER = `query PageAfter($first: Int!, $after: String) {
  chatHistory(first: $first, after: $after) {
    nodes { id message response status createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`;

/** The same of PostGraphile, which names things in its own way. */
export const PAGE_OF_POSTGRAPHILE = `query Page($first: Int!, $offset: Int) {
  allChatHistories(first: $first, offset: $offset, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) {
    nodes { rowId message response status createdAt }
    pageInfo { hasNextPage endCursor }
  }
}`;

export const PAGE_SIZE = 50;

/** Pages that are no larger than what is measured, each another one to a cache. */
export const OTHER_PAGES = Array.from({ length: 9 * 10 }, (_, n) => ({
  first: PAGE_SIZE - 1 - (n % 9),
  offset: Math.floor(n / 9),
}));

/** Answers as soon as the message is stored. */
export const SEND = `mutation Send($message: String!) {
  sendMessage(input: { message: $message, awaitReply: false }) { message { id status } }
}`;

/** What the web client asks for of a hit. */
export const SEARCH = `query Search($query: String!, $filter: ChatFilter) {
  searchChats(query: $query, filter: $filter) {
    edges { node { id message response status createdAt } highlights { field start end } }
    pageInfo { hasNextPage endCursor }
  }
}`;
