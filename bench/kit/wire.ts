/*
 * What goes over the wire in the part `events`: the same bytes to the devices, whichever server sends
 * them.
 */

export const EVENTS = `subscription Events($after: String) {
  chatEvents(after: $after) {
    __typename
    ... on MessageChanged { cursor message { id message response status } }
    ... on MessageDeleted { cursor id }
    ... on ReplyDelta { messageId offset text }
    ... on CaughtUp { cursor }
  }
}`;

export type ChatEvent =
  | { __typename: 'ReplyDelta'; messageId: string; offset: number; text: string }
  | {
      __typename: 'MessageChanged';
      cursor: string;
      message: { id: string; message: string; response: string; status: string };
    }
  | { __typename: 'CaughtUp'; cursor: string };

/** A UUID, as graphql-ws' client makes one for each subscription. */
export const SUBSCRIPTION_ID = '3f1e7c1a-9b5d-4c0e-8a43-5d2f6b7c8e90';

export const frameOf = (event: ChatEvent): string =>
  JSON.stringify({
    id: SUBSCRIPTION_ID,
    type: 'next',
    payload: { data: { chatEvents: event } },
  });

/** The channel of a user's events; chatkeep's own, and here everybody's. */
export const channelOf = (userId: string): string => `chat:events:{${userId}}`;

/** Where the bytes of a replay lie for the bare server, which has no PostgreSQL. */
export const REPLAY_KEY = 'bench:replay';

const MARK = '#';
const MARK_DIGITS = 7;

/** Text of a given length that begins with a number by which the receiver knows it again. */
export function markedText(n: number, length: number): string {
  const mark = `${MARK}${String(n).padStart(MARK_DIGITS, '0')} `;
  const words = 'and then we walked along the river until the lamps were lit ';
  return (mark + words.repeat(Math.ceil(length / words.length))).slice(0, length);
}

/** The number in a frame; NaN when there is none. */
export function markIn(frame: Buffer): number {
  const at = frame.indexOf(MARK);
  return at < 0 ? Number.NaN : Number(frame.toString('latin1', at + 1, at + 1 + MARK_DIGITS));
}
