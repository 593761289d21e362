import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOfflineWriter } from '../src/replies/offline.ts';
import type { Turn } from '../src/replies/replies.ts';

const NEVER = new AbortController().signal;

async function piecesOf(message: string, turns: readonly Turn[] = []): Promise<string[]> {
  const writer = createOfflineWriter({ wordDelayMs: 0 });
  const pieces: string[] = [];
  const reply = writer.write({ message, personalityContext: null, turns }, NEVER);
  for (;;) {
    const next = await reply.next();
    if (next.done) {
      expect(next.value).toBe('stop');
      return pieces;
    }
    pieces.push(next.value);
  }
}

const replyTo = async (message: string, turns?: readonly Turn[]) =>
  (await piecesOf(message, turns)).join('');

const WHO =
  / I am only the offline companion: no model is connected \(GEMINI_API_KEY is not set\)\.$/;

describe('the offline companion', () => {
  it.each([
    ['Hello there', /^Welcome/],
    ['¡Hi!', /^Welcome/],
    ['Good night', /^Until/],
    ['Thank you so much', /^You are welcome/],
    ['Today I am so tired.', /^I am sorry that you are tired\./],
    ['I’m really proud of her', /^It is a joy that you are proud\./],
    ['I want to learn the cello. Soon.', /^What would change if you could learn the cello\?/],
    ['That was a lovely day', /^That sounds lovely/],
    ['What is the capital of Peru?', /^A language model could answer that/],
    ['今日はパンを焼いた', /^I am listening/],
  ])('answers to “%s”, and says what it is', async (message, expected) => {
    const reply = await replyTo(message);
    expect(reply).toMatch(expected);
    expect(reply).toMatch(WHO);
  });

  it('repeats nothing of earlier turns, so that a search finds them and no echo', async () => {
    const turns = [{ message: 'Bread is in the oven', response: 'Marmalade?' }];
    expect(await replyTo('It smells', turns)).not.toMatch(/bread|oven|marmalade/i);
  });

  it('streams word by word', async () => {
    const pieces = await piecesOf('Hello');
    expect(pieces.length).toBeGreaterThan(10);
    for (const piece of pieces) expect(piece).toMatch(/^\S+\s?$/);
  });

  it.each(['', 'x'])('cuts no character in two (%s)', async (shift) => {
    const reply = await replyTo(`I want ${shift}${'😀'.repeat(100)}`);
    expect(reply).toContain('😀');
    expect(reply.isWellFormed()).toBe(true);
  });

  it('says the same again, in well-formed text, whatever it is asked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (message) => {
        const reply = await replyTo(message);
        expect(reply.isWellFormed()).toBe(true);
        expect(reply).toMatch(WHO);
        expect(await replyTo(message)).toBe(reply);
      }),
      { numRuns: 20 },
    );
  });

  it('answers to 32,000 hostile characters in short', async () => {
    for (const unit of ['i am ', '?', ' ', 'i want ', '\u0301', '\ud83d']) {
      const pieces = createOfflineWriter().write(
        { message: unit.repeat(32_000 / unit.length), personalityContext: null, turns: [] },
        NEVER,
      );
      expect((await pieces.next()).done).toBe(false);
    }
  });

  it('stops in the middle of a pause when its signal is aborted', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const writer = createOfflineWriter({ wordDelayMs: 1_000_000 });
    const request = { message: 'Hello', personalityContext: null, turns: [] };
    const reply = writer.write(request, controller.signal);
    expect((await reply.next()).done).toBe(false);
    const next = reply.next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    await expect(writer.write(request, controller.signal).next()).rejects.toBe(reason);
  });
});
