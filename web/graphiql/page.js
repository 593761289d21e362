/* global YogaGraphiQL */
// GraphiQL against this server: queries over HTTP, subscriptions over WebSocket, both with the
// headers of the tab's Headers editor. Whoever signs in as a guest here stays signed in, in every tab,
// until the Headers editor says otherwise.
import { createClient } from '/graphiql/graphql-ws/client.js';

const TOKEN = 'chatkeep:token';

const WELCOME = `# Welcome to chatkeep. Press ▶ and choose.
#
# 1. SignIn: from then on this page sends your token
#    along by itself. To be somebody else, put
#    {"authorization": "Bearer …"} into the Headers.
mutation SignIn {
  signInAsGuest {
    accessToken
    expiresAt
    user { id }
  }
}

# 2. Send: open a second tab with Live first, and see
#    it arrive there.
mutation Send {
  sendMessage(input: { message: "What a wonderful morning! Shall we plan the day?" }) {
    message { id response status mood createdAt }
  }
}

# 3. History, newest first.
query History {
  chatHistory(first: 10) {
    nodes { id message response status createdAt }
    pageInfo { hasNextPage endCursor }
  }
}

# 4. Search: every word has to occur, and a phrase
#    between quotes as it stands.
query Search {
  searchChats(query: "wonderful morning") {
    edges {
      node { message response }
      highlights { field start end }
    }
  }
}

# 5. Live, over WebSocket: all that happens, the reply
#    as it is written.
subscription Live {
  chatEvents {
    __typename
    ... on MessageChanged {
      cursor
      message { id message response status }
    }
    ... on MessageDeleted { cursor id }
    ... on ReplyDelta { messageId offset text }
    ... on CaughtUp { cursor }
  }
}
`;

function headersOf(options) {
  const headers = { ...options?.headers };
  const token = localStorage.getItem(TOKEN);
  const explicit = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  if (token && !explicit) headers.authorization = `Bearer ${token}`;
  return headers;
}

function isSubscription({ operationName }, { documentAST } = {}) {
  const operations = documentAST?.definitions.filter((d) => d.kind === 'OperationDefinition') ?? [];
  const chosen = operations.find((o) => !operationName || o.name?.value === operationName);
  return chosen?.operation === 'subscription';
}

function isSignIn({ query, operationName }, { documentAST } = {}) {
  const chosen = documentAST?.definitions.find((d) => d.name?.value === operationName);
  const text = chosen?.loc ? query.slice(chosen.loc.start, chosen.loc.end) : query;
  return text.includes('signInAsGuest');
}

async function post(params, options) {
  const headers = headersOf(options);
  // A token that ran out must not keep anybody from getting a new one.
  if (isSignIn(params, options) && !options?.headers?.authorization) delete headers.authorization;
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(params),
  });
  const result = await response.json();
  const token = result.data?.signInAsGuest?.accessToken;
  if (token) localStorage.setItem(TOKEN, token);
  return result;
}

function subscribe(params, options) {
  const url = new URL('/graphql', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  const client = createClient({ url: url.href, connectionParams: () => headersOf(options) });
  return client.iterate(params);
}

YogaGraphiQL.renderYogaGraphiQL(document.getElementById('root'), {
  title: 'chatkeep',
  query: WELCOME,
  shouldPersistHeaders: false,
  fetcher: (params, options) =>
    isSubscription(params, options) ? subscribe(params, options) : post(params, options),
});
