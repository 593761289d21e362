import { buildSchema, parse } from 'graphql';
import { expect, it } from 'vitest';
import type { Context } from '../src/resolvers/context.ts';
import { createSubscriptions, type Subscription } from '../src/server/subscriptions.ts';
import { Queue } from '../src/services/queue.ts';

const HOUR = 60 * 60 * 1000;

/** A schema whose one subscription counts how often an event's text is asked for. */
function counting() {
  const schema = buildSchema(`
    type Event { text(upper: Boolean): String!  later: String!  broken: String }
    type Subscription { events(after: String): Event! }
    type Query { nothing: String }`);
  let reads = 0;
  const fields = schema.getSubscriptionType()?.getFields()['events'];
  if (!fields) throw new Error('no field');
  fields.subscribe = () =>
    new Queue({
      limit: 10,
      until: new Date(Date.now() + HOUR),
      tooSlow: () => new Error('too slow'),
      onEnd: () => {},
    });
  fields.resolve = (event) => ({
    text({ upper }: { upper?: boolean }) {
      reads += 1;
      return upper ? event.text.toUpperCase() : event.text;
    },
    later: async () => event.text,
    broken() {
      throw new Error('a secret');
    },
  });
  const subscribe = createSubscriptions({
    schema,
    maskError: () => Object.assign(new Error('masked'), { toJSON: () => 'masked' }) as never,
  });
  const documents = new Map<string, ReturnType<typeof parse>>();
  return {
    reads: () => reads,
    async open(query: string, variableValues: Record<string, unknown> = {}) {
      const document = documents.get(query) ?? parse(query);
      documents.set(query, document);
      const contextValue = {} as Context;
      return (await subscribe({ document, variableValues, contextValue })) as Subscription;
    },
  };
}

const QUERY = `subscription ($after: String, $upper: Boolean) {
  events(after: $after) { ...Text } } fragment Text on Event { text(upper: $upper) }`;

it('makes an event once for all who ask alike, whatever they have seen before', async () => {
  const { open, reads } = counting();
  const devices = [
    await open(QUERY, { after: 'a' }),
    await open(QUERY, { after: 'b' }),
    await open(QUERY),
  ];
  const event = { text: 'hello' };
  const bodies = devices.map(({ render }) => render(event));
  expect(new Set(bodies)).toEqual(new Set(['{"data":{"events":{"text":"hello"}}}']));
  expect(reads()).toBe(1);
  devices[0]?.render({ text: 'another' });
  expect(reads()).toBe(2);
});

it('makes it anew for who asks otherwise', async () => {
  const { open, reads } = counting();
  const event = { text: 'hello' };
  const bodies = [
    (await open(QUERY, { upper: true })).render(event),
    (await open(QUERY, { upper: false })).render(event),
    (await open('subscription { events { again: text } }')).render(event),
  ];
  expect(bodies).toEqual([
    '{"data":{"events":{"text":"HELLO"}}}',
    '{"data":{"events":{"text":"hello"}}}',
    '{"data":{"events":{"again":"hello"}}}',
  ]);
  expect(reads()).toBe(3);
});

it('waits for fields that take a while, once', async () => {
  const { open } = counting();
  const event = { text: 'hello' };
  const { render } = await open('subscription { events { later } }');
  const first = render(event);
  expect(render(event)).toBe(first);
  expect(await first).toBe('{"data":{"events":{"later":"hello"}}}');
});

it('masks what goes wrong in an event', async () => {
  const { open } = counting();
  const { render } = await open('subscription { events { broken } }');
  expect(await render({ text: 'hello' })).toBe(
    '{"data":{"events":{"broken":null}},"errors":["masked"]}',
  );
});
