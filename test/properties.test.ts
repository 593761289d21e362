import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from '../src/resolvers/cursor.ts';

const userId = fc.uuid();
const position = fc.record({
  createdAt: fc
    .date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true })
    .map((date) => `${date.toISOString().slice(0, 19).replace('T', ' ')}.123456+00`),
  id: fc.uuid(),
});

describe('cursors', () => {
  it('give back the position they were made of, to their own user only', () => {
    fc.assert(
      fc.property(userId, userId, position, (user, other, place) => {
        const cursor = encodeCursor(user, place);
        expect(cursor).toMatch(/^[\w-]+$/);
        expect(decodeCursor(user, 'after', cursor)).toEqual(place);
        if (other !== user) expect(() => decodeCursor(other, 'after', cursor)).toThrow();
      }),
    );
  });

  it('are refused when anything else was made of them', () => {
    fc.assert(
      fc.property(
        userId,
        position,
        fc.string({ unit: 'binary' }),
        fc.nat(),
        (user, place, noise, at) => {
          const cursor = encodeCursor(user, place);
          const index = at % (cursor.length + 1);
          const changed = cursor.slice(0, index) + noise + cursor.slice(index + noise.length);
          fc.pre(changed !== cursor);
          expect(() => decodeCursor(user, 'after', changed)).toThrow(/not one of ours/);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('cursors that somebody else computed', () => {
  it.each([
    '9999-99-99 00:00:00.1+00',
    '2026-02-30 00:00:00+00',
    '2026-01-01 25:00:00+00',
    'infinity',
  ])('are refused for %s, which PostgreSQL could not read', (createdAt) => {
    const user = '0190a6e4-0000-7000-8000-000000000000';
    const cursor = encodeCursor(user, { createdAt, id: user });
    expect(() => decodeCursor(user, 'after', cursor)).toThrow(/not one of ours/);
  });
});
