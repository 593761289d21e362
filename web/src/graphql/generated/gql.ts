/* eslint-disable */
import * as types from './graphql.ts';
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';

/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "\n  mutation SendMessage($input: SendMessageInput!) {\n    sendMessage(input: $input) {\n      message {\n        id\n      }\n    }\n  }\n": typeof types.SendMessageDocument,
    "\n  fragment Cache_ReplySoFar on ChatMessage {\n    id\n    response\n    status\n  }\n": typeof types.Cache_ReplySoFarFragmentDoc,
    "\n  subscription ChatEvents($after: String) {\n    chatEvents(after: $after) {\n      __typename\n      ... on MessageChanged {\n        cursor\n        message {\n          id\n          cursor\n          createdAt\n          status\n          ...Exchange_ChatMessage\n        }\n      }\n      ... on MessageDeleted {\n        cursor\n        id\n      }\n      ... on ReplyDelta {\n        messageId\n        offset\n        text\n      }\n      ... on CaughtUp {\n        cursor\n      }\n    }\n  }\n": typeof types.ChatEventsDocument,
    "\n  query MessageThere($id: ID!) {\n    message(id: $id) {\n      id\n      createdAt\n    }\n  }\n": typeof types.MessageThereDocument,
    "\n  query HistoryPage(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $around: ID\n    $filter: ChatFilter\n  ) {\n    chatHistory(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      around: $around\n      filter: $filter\n    ) {\n      eventsCursor\n      nodes {\n        id\n        cursor\n        createdAt\n        status\n        ...Exchange_ChatMessage\n      }\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n    }\n  }\n": typeof types.HistoryPageDocument,
    "\n  mutation DeleteMessage($id: ID!) {\n    deleteMessage(id: $id)\n  }\n": typeof types.DeleteMessageDocument,
    "\n  fragment Exchange_ChatMessage on ChatMessage {\n    id\n    message\n    response\n    status\n    failure\n    hasPersonalityContext\n    mood\n    moodScore\n    createdAt\n  }\n": typeof types.Exchange_ChatMessageFragmentDoc,
    "\n  query SentAlong($id: ID!) {\n    message(id: $id) {\n      id\n      personalityContext\n    }\n  }\n": typeof types.SentAlongDocument,
    "\n  mutation RetryReply($id: ID!) {\n    retryReply(id: $id) {\n      id\n    }\n  }\n": typeof types.RetryReplyDocument,
    "\n  mutation StopReply($id: ID!) {\n    stopReply(id: $id) {\n      id\n    }\n  }\n": typeof types.StopReplyDocument,
    "\n  query Personality {\n    viewer {\n      id\n      personality\n    }\n  }\n": typeof types.PersonalityDocument,
    "\n  mutation SetPersonality($personality: JSON) {\n    setPersonality(personality: $personality) {\n      id\n      personality\n    }\n  }\n": typeof types.SetPersonalityDocument,
    "\n  fragment Chips_SearchTerm on SearchTerm {\n    kind\n    value\n    excluded\n  }\n": typeof types.Chips_SearchTermFragmentDoc,
    "\n  fragment Hit_SearchEdge on SearchEdge {\n    snippet {\n      field\n      text\n      hasBefore\n      hasAfter\n      highlights {\n        start\n        end\n      }\n    }\n    node {\n      id\n      createdAt\n      message\n    }\n  }\n": typeof types.Hit_SearchEdgeFragmentDoc,
    "\n  query SearchPage($query: String!, $filter: ChatFilter, $first: Int, $after: String) {\n    searchChats(query: $query, filter: $filter, first: $first, after: $after) {\n      understood {\n        start\n        end\n        ...Chips_SearchTerm\n      }\n      edges {\n        approximate\n        node {\n          id\n          createdAt\n        }\n        ...Hit_SearchEdge\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n": typeof types.SearchPageDocument,
    "\n  query SpineEnds {\n    newest: chatHistory(first: 1) {\n      nodes {\n        id\n        createdAt\n      }\n      pageInfo {\n        hasPreviousPage\n      }\n    }\n    oldest: chatHistory(last: 1) {\n      nodes {\n        id\n        createdAt\n      }\n    }\n  }\n": typeof types.SpineEndsDocument,
    "\n  query SpineTrend($from: Date!, $to: Date!, $bucket: TrendBucket!, $timeZone: String!) {\n    moodTrend(from: $from, to: $to, bucket: $bucket, timeZone: $timeZone) {\n      start\n      messageCount\n      positive\n      neutral\n      negative\n    }\n  }\n": typeof types.SpineTrendDocument,
};
const documents: Documents = {
    "\n  mutation SendMessage($input: SendMessageInput!) {\n    sendMessage(input: $input) {\n      message {\n        id\n      }\n    }\n  }\n": types.SendMessageDocument,
    "\n  fragment Cache_ReplySoFar on ChatMessage {\n    id\n    response\n    status\n  }\n": types.Cache_ReplySoFarFragmentDoc,
    "\n  subscription ChatEvents($after: String) {\n    chatEvents(after: $after) {\n      __typename\n      ... on MessageChanged {\n        cursor\n        message {\n          id\n          cursor\n          createdAt\n          status\n          ...Exchange_ChatMessage\n        }\n      }\n      ... on MessageDeleted {\n        cursor\n        id\n      }\n      ... on ReplyDelta {\n        messageId\n        offset\n        text\n      }\n      ... on CaughtUp {\n        cursor\n      }\n    }\n  }\n": types.ChatEventsDocument,
    "\n  query MessageThere($id: ID!) {\n    message(id: $id) {\n      id\n      createdAt\n    }\n  }\n": types.MessageThereDocument,
    "\n  query HistoryPage(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $around: ID\n    $filter: ChatFilter\n  ) {\n    chatHistory(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      around: $around\n      filter: $filter\n    ) {\n      eventsCursor\n      nodes {\n        id\n        cursor\n        createdAt\n        status\n        ...Exchange_ChatMessage\n      }\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n    }\n  }\n": types.HistoryPageDocument,
    "\n  mutation DeleteMessage($id: ID!) {\n    deleteMessage(id: $id)\n  }\n": types.DeleteMessageDocument,
    "\n  fragment Exchange_ChatMessage on ChatMessage {\n    id\n    message\n    response\n    status\n    failure\n    hasPersonalityContext\n    mood\n    moodScore\n    createdAt\n  }\n": types.Exchange_ChatMessageFragmentDoc,
    "\n  query SentAlong($id: ID!) {\n    message(id: $id) {\n      id\n      personalityContext\n    }\n  }\n": types.SentAlongDocument,
    "\n  mutation RetryReply($id: ID!) {\n    retryReply(id: $id) {\n      id\n    }\n  }\n": types.RetryReplyDocument,
    "\n  mutation StopReply($id: ID!) {\n    stopReply(id: $id) {\n      id\n    }\n  }\n": types.StopReplyDocument,
    "\n  query Personality {\n    viewer {\n      id\n      personality\n    }\n  }\n": types.PersonalityDocument,
    "\n  mutation SetPersonality($personality: JSON) {\n    setPersonality(personality: $personality) {\n      id\n      personality\n    }\n  }\n": types.SetPersonalityDocument,
    "\n  fragment Chips_SearchTerm on SearchTerm {\n    kind\n    value\n    excluded\n  }\n": types.Chips_SearchTermFragmentDoc,
    "\n  fragment Hit_SearchEdge on SearchEdge {\n    snippet {\n      field\n      text\n      hasBefore\n      hasAfter\n      highlights {\n        start\n        end\n      }\n    }\n    node {\n      id\n      createdAt\n      message\n    }\n  }\n": types.Hit_SearchEdgeFragmentDoc,
    "\n  query SearchPage($query: String!, $filter: ChatFilter, $first: Int, $after: String) {\n    searchChats(query: $query, filter: $filter, first: $first, after: $after) {\n      understood {\n        start\n        end\n        ...Chips_SearchTerm\n      }\n      edges {\n        approximate\n        node {\n          id\n          createdAt\n        }\n        ...Hit_SearchEdge\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n": types.SearchPageDocument,
    "\n  query SpineEnds {\n    newest: chatHistory(first: 1) {\n      nodes {\n        id\n        createdAt\n      }\n      pageInfo {\n        hasPreviousPage\n      }\n    }\n    oldest: chatHistory(last: 1) {\n      nodes {\n        id\n        createdAt\n      }\n    }\n  }\n": types.SpineEndsDocument,
    "\n  query SpineTrend($from: Date!, $to: Date!, $bucket: TrendBucket!, $timeZone: String!) {\n    moodTrend(from: $from, to: $to, bucket: $bucket, timeZone: $timeZone) {\n      start\n      messageCount\n      positive\n      neutral\n      negative\n    }\n  }\n": types.SpineTrendDocument,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 *
 *
 * @example
 * ```ts
 * const query = graphql(`query GetUser($id: ID!) { user(id: $id) { name } }`);
 * ```
 *
 * The query argument is unknown!
 * Please regenerate the types.
 */
export function graphql(source: string): unknown;

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation SendMessage($input: SendMessageInput!) {\n    sendMessage(input: $input) {\n      message {\n        id\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation SendMessage($input: SendMessageInput!) {\n    sendMessage(input: $input) {\n      message {\n        id\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment Cache_ReplySoFar on ChatMessage {\n    id\n    response\n    status\n  }\n"): (typeof documents)["\n  fragment Cache_ReplySoFar on ChatMessage {\n    id\n    response\n    status\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription ChatEvents($after: String) {\n    chatEvents(after: $after) {\n      __typename\n      ... on MessageChanged {\n        cursor\n        message {\n          id\n          cursor\n          createdAt\n          status\n          ...Exchange_ChatMessage\n        }\n      }\n      ... on MessageDeleted {\n        cursor\n        id\n      }\n      ... on ReplyDelta {\n        messageId\n        offset\n        text\n      }\n      ... on CaughtUp {\n        cursor\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription ChatEvents($after: String) {\n    chatEvents(after: $after) {\n      __typename\n      ... on MessageChanged {\n        cursor\n        message {\n          id\n          cursor\n          createdAt\n          status\n          ...Exchange_ChatMessage\n        }\n      }\n      ... on MessageDeleted {\n        cursor\n        id\n      }\n      ... on ReplyDelta {\n        messageId\n        offset\n        text\n      }\n      ... on CaughtUp {\n        cursor\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query MessageThere($id: ID!) {\n    message(id: $id) {\n      id\n      createdAt\n    }\n  }\n"): (typeof documents)["\n  query MessageThere($id: ID!) {\n    message(id: $id) {\n      id\n      createdAt\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query HistoryPage(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $around: ID\n    $filter: ChatFilter\n  ) {\n    chatHistory(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      around: $around\n      filter: $filter\n    ) {\n      eventsCursor\n      nodes {\n        id\n        cursor\n        createdAt\n        status\n        ...Exchange_ChatMessage\n      }\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n    }\n  }\n"): (typeof documents)["\n  query HistoryPage(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $around: ID\n    $filter: ChatFilter\n  ) {\n    chatHistory(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      around: $around\n      filter: $filter\n    ) {\n      eventsCursor\n      nodes {\n        id\n        cursor\n        createdAt\n        status\n        ...Exchange_ChatMessage\n      }\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteMessage($id: ID!) {\n    deleteMessage(id: $id)\n  }\n"): (typeof documents)["\n  mutation DeleteMessage($id: ID!) {\n    deleteMessage(id: $id)\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment Exchange_ChatMessage on ChatMessage {\n    id\n    message\n    response\n    status\n    failure\n    hasPersonalityContext\n    mood\n    moodScore\n    createdAt\n  }\n"): (typeof documents)["\n  fragment Exchange_ChatMessage on ChatMessage {\n    id\n    message\n    response\n    status\n    failure\n    hasPersonalityContext\n    mood\n    moodScore\n    createdAt\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query SentAlong($id: ID!) {\n    message(id: $id) {\n      id\n      personalityContext\n    }\n  }\n"): (typeof documents)["\n  query SentAlong($id: ID!) {\n    message(id: $id) {\n      id\n      personalityContext\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RetryReply($id: ID!) {\n    retryReply(id: $id) {\n      id\n    }\n  }\n"): (typeof documents)["\n  mutation RetryReply($id: ID!) {\n    retryReply(id: $id) {\n      id\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation StopReply($id: ID!) {\n    stopReply(id: $id) {\n      id\n    }\n  }\n"): (typeof documents)["\n  mutation StopReply($id: ID!) {\n    stopReply(id: $id) {\n      id\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Personality {\n    viewer {\n      id\n      personality\n    }\n  }\n"): (typeof documents)["\n  query Personality {\n    viewer {\n      id\n      personality\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation SetPersonality($personality: JSON) {\n    setPersonality(personality: $personality) {\n      id\n      personality\n    }\n  }\n"): (typeof documents)["\n  mutation SetPersonality($personality: JSON) {\n    setPersonality(personality: $personality) {\n      id\n      personality\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment Chips_SearchTerm on SearchTerm {\n    kind\n    value\n    excluded\n  }\n"): (typeof documents)["\n  fragment Chips_SearchTerm on SearchTerm {\n    kind\n    value\n    excluded\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment Hit_SearchEdge on SearchEdge {\n    snippet {\n      field\n      text\n      hasBefore\n      hasAfter\n      highlights {\n        start\n        end\n      }\n    }\n    node {\n      id\n      createdAt\n      message\n    }\n  }\n"): (typeof documents)["\n  fragment Hit_SearchEdge on SearchEdge {\n    snippet {\n      field\n      text\n      hasBefore\n      hasAfter\n      highlights {\n        start\n        end\n      }\n    }\n    node {\n      id\n      createdAt\n      message\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query SearchPage($query: String!, $filter: ChatFilter, $first: Int, $after: String) {\n    searchChats(query: $query, filter: $filter, first: $first, after: $after) {\n      understood {\n        start\n        end\n        ...Chips_SearchTerm\n      }\n      edges {\n        approximate\n        node {\n          id\n          createdAt\n        }\n        ...Hit_SearchEdge\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n"): (typeof documents)["\n  query SearchPage($query: String!, $filter: ChatFilter, $first: Int, $after: String) {\n    searchChats(query: $query, filter: $filter, first: $first, after: $after) {\n      understood {\n        start\n        end\n        ...Chips_SearchTerm\n      }\n      edges {\n        approximate\n        node {\n          id\n          createdAt\n        }\n        ...Hit_SearchEdge\n      }\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query SpineEnds {\n    newest: chatHistory(first: 1) {\n      nodes {\n        id\n        createdAt\n      }\n      pageInfo {\n        hasPreviousPage\n      }\n    }\n    oldest: chatHistory(last: 1) {\n      nodes {\n        id\n        createdAt\n      }\n    }\n  }\n"): (typeof documents)["\n  query SpineEnds {\n    newest: chatHistory(first: 1) {\n      nodes {\n        id\n        createdAt\n      }\n      pageInfo {\n        hasPreviousPage\n      }\n    }\n    oldest: chatHistory(last: 1) {\n      nodes {\n        id\n        createdAt\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query SpineTrend($from: Date!, $to: Date!, $bucket: TrendBucket!, $timeZone: String!) {\n    moodTrend(from: $from, to: $to, bucket: $bucket, timeZone: $timeZone) {\n      start\n      messageCount\n      positive\n      neutral\n      negative\n    }\n  }\n"): (typeof documents)["\n  query SpineTrend($from: Date!, $to: Date!, $bucket: TrendBucket!, $timeZone: String!) {\n    moodTrend(from: $from, to: $to, bucket: $bucket, timeZone: $timeZone) {\n      start\n      messageCount\n      positive\n      neutral\n      negative\n    }\n  }\n"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;
