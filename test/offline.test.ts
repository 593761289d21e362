import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOfflineWriter } from '../src/replies/offline.ts';
import type { Turn } from '../src/replies/replies.ts';

const NEVER = new AbortController().signal;

async function piecesOf(message: string, turns: readonly Turn[] = []): Promise<string[]> {
  const writer = createOfflineWriter({ wordDelayMs: 0 });
  const request = { message, personalityContext: null, turns };
  const pieces: string[] = [];
  const reply = writer.write(request, NEVER);
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

describe('the offline companion', () => {
  it.each([
    ['Hello there', /^Hello!/],
    ['¡Hi!', /^Hello!/],
    ['Good night', /^Until next time/],
    ['Thank you so much', /^You are welcome/],
    ['Today I am so tired.', /^I am sorry to read “tired”/],
    ['I’m really proud of her', /^It is good to read “proud”/],
    ['I want to learn the cello. Soon.', /“learn the cello”\. What/],
    ['That was a lovely day', /^That sounds lovely/],
    ['What is the capital of Peru?', /^You ask “What is the capital of Peru\?”/],
    ['今日は何をしましたか？', /^You ask “今日は何をしましたか？”/],
    ['My sister came to visit', /“My sister came to visit”/],
  ])('answers to “%s”', async (message, expected) => {
    const reply = await replyTo(message);
    expect(reply).toMatch(expected);
    expect(reply).toMatch(/offline companion.*no language model.*GEMINI_API_KEY/);
  });

  it('remembers what was written before, and still says what it is', async () => {
    const turns = [
      { message: 'My cat is ill', response: 'Oh.' },
      { message: 'Bread is\n in the oven', response: 'Nice.' },
    ];
    const reply = await replyTo('It smells', turns);
    expect(reply).toContain('Before that you wrote “Bread is in the oven”.');
    expect(reply).toMatch(/offline companion.*no model.*GEMINI_API_KEY/);
  });

  it('streams word by word, in a few sentences', async () => {
    const pieces = await piecesOf('Hello');
    expect(pieces.length).toBeGreaterThan(20);
    for (const piece of pieces) expect(piece).toMatch(/^\S+\s?$/);
  });

  it.each(['👨‍👩‍👧‍👦', '😀', 'é', '🇩🇪'])('cuts no character in two: %s', async (character) => {
    const reply = await replyTo(character.repeat(200));
    const [, quoted = ''] = /“(.*?)…”/u.exec(reply) ?? [];
    expect(quoted.normalize()).not.toBe('');
    expect(quoted.replaceAll(character, '')).toBe('');
  });

  it('says the same again, in well-formed text, whatever it is asked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string(), async (message, before) => {
        const turns = before ? [{ message: before, response: 'r' }] : [];
        const reply = await replyTo(message, turns);
        expect(reply.isWellFormed()).toBe(true);
        expect(reply).toContain('GEMINI_API_KEY');
        expect(await replyTo(message, turns)).toBe(reply);
      }),
      { numRuns: 20 },
    );
  });

  it('answers to 32,000 hostile characters in short', async () => {
    for (const unit of ['i am ', '?', ' ', 'i want ', '\u0301', '\ud83d']) {
      const reply = await replyTo(unit.repeat(32_000 / unit.length));
      expect(reply.length).toBeLessThan(1_000);
    }
  });

  it('stops in the middle of a pause when its signal is aborted', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const writer = createOfflineWriter({ wordDelayMs: 1_000_000 });
    const request = { message: 'Hello', personalityContext: null, turns: [] };
    const reply = writer.write(request, controller.signal);
    expect(await reply.next()).toEqual({ value: 'Hello! ', done: false });
    const next = reply.next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    await expect(writer.write(request, controller.signal).next()).rejects.toBe(reason);
  });
});
