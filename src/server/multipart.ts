import type { Plugin } from 'graphql-yoga';
import type { RenderedResult } from './subscriptions.ts';

const BOUNDARY = 'graphql';

/**
 * Subscriptions as multipart/mixed, which Yoga offers for single results only: a part an event. Clients
 * that ask with a `subscriptionSpec` get each wrapped as `payload`
 * (https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol).
 */
export function useMultipartSubscriptions(): Plugin {
  return {
    onResultProcess({ request, result, setResultProcessor }) {
      const accept = request.headers.get('accept') ?? '';
      if (!isStream(result) || !/multipart\/mixed/i.test(accept)) return;
      if (/text\/event-stream/i.test(accept)) return;
      const spec = /subscriptionSpec/i.test(accept);
      const toPart = (event: RenderedResult) =>
        spec ? `{"payload":${event.stringify()}}` : event.stringify();
      const type = `multipart/mixed; boundary="${BOUNDARY}"${spec ? '; subscriptionSpec="1.0"' : ''}`;
      setResultProcessor(
        (_, fetchAPI) =>
          new fetchAPI.Response(bodyOf(result, toPart), { headers: { 'content-type': type } }),
        'multipart/mixed',
      );
    },
  };
}

const isStream = (result: unknown): result is AsyncIterable<RenderedResult> =>
  typeof result === 'object' && result !== null && Symbol.asyncIterator in result;

function bodyOf(
  events: AsyncIterable<RenderedResult>,
  toPart: (event: RenderedResult) => string,
): ReadableStream<Uint8Array> {
  const iterator = events[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      // The boundary goes out at once, so that the client knows that it is subscribed.
      controller.enqueue(encoder.encode(`\r\n--${BOUNDARY}`));
    },
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) {
        controller.enqueue(encoder.encode('--\r\n'));
        controller.close();
        return;
      }
      const part = `\r\nContent-Type: application/json\r\n\r\n${toPart(value)}\r\n--${BOUNDARY}`;
      controller.enqueue(encoder.encode(part));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
