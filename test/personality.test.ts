import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Any, type Client, clientOf, failureOf, SEND, send, signIn } from './kit/client.ts';
import { type GeminiServer, startGeminiServer } from './kit/gemini-server.ts';
import { startServer, type TestServer } from './kit/server.ts';

const SET = `mutation ($personality: JSON) {
  setPersonality(personality: $personality) { id personality }
}`;

let gemini: GeminiServer;
let server: TestServer;
let other: TestServer;
let me: Client;

beforeAll(async () => {
  gemini = await startGeminiServer();
  const env = { GEMINI_API_KEY: 'test-key', GEMINI_BASE_URL: gemini.url };
  server = await startServer({ env });
  other = await startServer({ env, beside: server });
});
afterAll(async () => {
  await other.stop();
  await server.stop();
  await gemini.stop();
});
beforeEach(async () => {
  gemini.reset();
  me = await signIn(server);
});

const set = async (personality: unknown, client = me): Promise<Any> =>
  (await client.data<Any>(SET, { personality })).setPersonality;
const read = async (client = me): Promise<Any> =>
  (await client.data<Any>('{ viewer { personality } }')).viewer.personality;
const contextOf = ({ personalityContext, hasPersonalityContext }: Any) => {
  expect(hasPersonalityContext).toBe(personalityContext !== null);
  return personalityContext;
};

describe('the personality of a user', () => {
  it('is nothing at first, is set, replaced and forgotten, on every process', async () => {
    expect(await read()).toBeNull();
    const kind = { tone: 'kind', list: [1, 2.5, null], 'ß"\\': { emoji: '🌅' } };
    expect(await set(kind)).toEqual({ id: me.userId, personality: kind });
    expect(await read(clientOf(other, me.token))).toEqual(kind);
    await set({ tone: 'dry' });
    expect(await read()).toEqual({ tone: 'dry' });
    await set({});
    expect(await read()).toEqual({});
    expect((await set(null)).personality).toBeNull();
    expect(await read()).toBeNull();
    await me.data('mutation { setPersonality(personality: { tone: "warm" }) { id } }');
    expect(await read()).toEqual({ tone: 'warm' });
    await me.data('mutation { setPersonality { id } }');
    expect(await read()).toBeNull();
  });

  it('goes along with what is sent without a context, and shapes the reply', async () => {
    await send(me, 'from before');
    await set({ tone: 'kind' });
    const sent = await send(me, 'hello');
    expect(contextOf(sent)).toEqual({ tone: 'kind' });
    expect(JSON.stringify(gemini.requests.at(-1))).toContain('{\\"tone\\":\\"kind\\"}');
    expect(contextOf(await send(me, 'hello', { personalityContext: { tone: 'dry' } }))).toEqual({
      tone: 'dry',
    });
    expect(contextOf(await send(me, 'hello', { personalityContext: null }))).toBeNull();
    expect(JSON.stringify(gemini.requests.at(-1))).not.toContain('kind');
    await set(null);
    expect(contextOf(await send(me, 'hello'))).toBeNull();
    const { chatHistory } = await me.data<Any>(
      '{ chatHistory(filter: { hasPersonalityContext: true }) { nodes { personalityContext } } }',
    );
    expect(chatHistory.nodes.map(contextIn)).toEqual([{ tone: 'dry' }, { tone: 'kind' }]);
  });

  it('is nobody else’s', async () => {
    const stranger = await signIn(server);
    await set({ tone: 'kind' });
    expect(await read(stranger)).toBeNull();
    expect(contextOf(await send(stranger, 'hello'))).toBeNull();
    await set({ tone: 'dry' }, stranger);
    expect(await read()).toEqual({ tone: 'kind' });
  });
});

const contextIn = ({ personalityContext }: Any) => personalityContext;

describe('the same id sent again', () => {
  it('is the same message without a context, whatever the personality is by now', async () => {
    for (const [then, now] of [
      [{ tone: 'kind' }, { tone: 'dry' }],
      [{ tone: 'kind' }, null],
      [null, { tone: 'kind' }],
    ]) {
      await set(then);
      const id = randomUUID();
      const first = await send(me, 'hello', { id });
      expect(contextOf(first)).toEqual(then);
      await set(now);
      expect(await send(me, 'hello', { id })).toEqual(first);
    }
    expect(gemini.requests).toHaveLength(3);
  });

  it('is the same with the same context, and none of its own stays none', async () => {
    await set({ tone: 'kind' });
    for (const personalityContext of [{ tone: 'dry' }, null]) {
      const input = { id: randomUUID(), personalityContext };
      const first = await send(me, 'hello', input);
      await set({ tone: 'new' });
      expect(await send(me, 'hello', input)).toEqual(first);
      expect(contextOf(first)).toEqual(personalityContext);
    }
  });

  it('is another message with another context, also with what the personality was', async () => {
    await set({ tone: 'kind' });
    const conflict = async (input: object) =>
      expect(failureOf(await me.ask(SEND, { input: { message: 'hello', ...input } }))).toBe(
        'CONFLICT',
      );
    const byDefault = randomUUID();
    await send(me, 'hello', { id: byDefault });
    await conflict({ id: byDefault, personalityContext: { tone: 'kind' } });
    await conflict({ id: byDefault, personalityContext: null });
    await conflict({ id: byDefault, message: 'other' });
    const given = randomUUID();
    await send(me, 'hello', { id: given, personalityContext: { tone: 'kind' } });
    await conflict({ id: given });
    await conflict({ id: given, personalityContext: null });
  });

  it('is stored once with one context, asked twenty times while the personality changes', async () => {
    const input = { id: randomUUID(), message: 'hello' };
    const both = [me, clientOf(other, me.token)];
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const client = both[i % 2] as Client;
        await set({ tone: `number ${i}` }, client);
        return (await client.data<Any>(SEND, { input })).sendMessage.message;
      }),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(contextOf(answers[0]).tone).toMatch(/^number \d+$/);
    expect(gemini.requests).toHaveLength(1);
  });
});

describe('bad input to setPersonality', () => {
  it.each([
    ['a list', [1]],
    ['a text', 'kind'],
    ['a number', 0],
    ['false', false],
    ['one that is too large', { a: 'x'.repeat(16_400) }],
    ['NUL', { 'a\0': 1 }],
    ['a lone surrogate', { a: ['\udc00'] }],
  ])('refuses %s, and keeps what there was', async (_what, personality) => {
    await set({ tone: 'kind' });
    expect(failureOf(await me.ask(SET, { personality }))).toBe('BAD_USER_INPUT personality');
    expect(await read()).toEqual({ tone: 'kind' });
  });

  it('takes all that a message takes', async () => {
    const largest = { a: 'x'.repeat(16 * 1024 - 8) };
    await set(largest);
    expect(contextOf(await send(me, 'hello'))).toEqual(largest);
  });

  it('is for the signed in only', async () => {
    expect(failureOf(await clientOf(server).ask(SET, { personality: {} }))).toBe('UNAUTHENTICATED');
  });
});
