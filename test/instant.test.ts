import { expect, it } from 'vitest';
import { instantOf } from '../src/resolvers/instant.ts';
import { createRandom, SEED } from './kit/random.ts';

it('says what a Date would', () => {
  const { below, pick } = createRandom(SEED);
  for (let n = 0; n < 2_000; n += 1) {
    const [day, time] = new Date(below(250_000) * 1_000_000_000)
      .toISOString()
      .slice(0, 19)
      .split('T');
    const fraction = pick(['', '.5', '.05', '.123', '.999', '.120', '.123456', '.9999', '.000001']);
    const zone = pick(['+00', '+00', '+00', '+02', '-07:30']);
    const text = `${day} ${time}${fraction}${zone}`;
    expect(instantOf(text), `SEED=${SEED}: ${text}`).toBe(new Date(text).toISOString());
  }
  // The year 10,000, as ISO 8601 extends it.
  expect(instantOf('10000-01-01 00:00:00+00')).toBe(
    new Date('10000-01-01 00:00:00+00').toISOString(),
  );
});
