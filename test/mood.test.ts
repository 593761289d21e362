import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { moodOf } from '../src/services/mood.ts';

describe('the mood of a text', () => {
  it.each([
    ['What a wonderful day, I love it!', 'POSITIVE'],
    ['I am so sad and lonely.', 'NEGATIVE'],
    ['The kettle is on the table.', 'NEUTRAL'],
    ['This is not good.', 'NEGATIVE'],
    ['Das Wetter in Köln', 'NEUTRAL'],
    ['constructor __proto__ hasOwnProperty toString', 'NEUTRAL'],
    [' \n\t', 'NEUTRAL'],
    ['', 'NEUTRAL'],
  ])('of “%s” is %s', (text, mood) => {
    expect(moodOf(text).mood).toBe(mood);
  });

  it('has the score that the paper’s authors publish', () => {
    expect(moodOf('VADER is smart, handsome, and funny.').score).toBeCloseTo(0.8316, 4);
    expect(moodOf('VADER is smart, handsome, and funny!').score).toBeCloseTo(0.8439, 4);
    expect(moodOf('Today SUX!').score).toBeCloseTo(-0.5461, 4);
  });

  it('keeps to its range and thresholds for any text', () => {
    const words = fc.constantFrom(
      'GREAT',
      'not',
      'but',
      'BUT',
      'kind',
      'of',
      'least',
      'sad!!',
      ':)',
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(words).map((all) => all.join(' ')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const { score, mood } = moodOf(text);
        expect(Math.abs(score)).toBeLessThanOrEqual(1);
        const expected = score >= 0.05 ? 'POSITIVE' : score <= -0.05 ? 'NEGATIVE' : 'NEUTRAL';
        expect(mood).toBe(expected);
      }),
    );
  });

  it('is read from the first 4,000 characters', () => {
    const long = 'the kettle '.repeat(400).slice(0, 4_000);
    expect(moodOf(`happy ${long}`).mood).toBe('POSITIVE');
    expect(moodOf(`${long} happy`).mood).toBe('NEUTRAL');
  });

  // Without the bounds, the giant word in capitals takes longer than any test may.
  it.each([
    ['exclamation marks', '!'.repeat(32_000)],
    ['one giant word', 'x'.repeat(32_000)],
    ['one giant word in capitals', `${'A'.repeat(8_000)}a ok`.padEnd(32_000)],
    ['many words in capitals', `${'A'.repeat(31)}a `.repeat(970)],
    ['16,000 words', 'a '.repeat(16_000)],
    [
      'different words',
      Array.from({ length: 6_400 }, (_, i) => (i + 50_000).toString(36)).join(' '),
    ],
    ['kind of', 'kind of '.repeat(4_000)],
    ['but', 'but great '.repeat(3_200)],
    ['blanks', '\u00a0'.repeat(32_000)],
    ['lone surrogates', '\ud83d'.repeat(32_000)],
  ])('is read from 32,000 characters: %s', (_, text) => {
    expect(moodOf(text).score).not.toBeNaN();
  });
});
