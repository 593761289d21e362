import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createReplyText } from '../src/services/reply-text.ts';

/** Pieces of a text, cut anywhere: also through a surrogate pair. */
const cut = fc.tuple(fc.string({ unit: 'binary' }), fc.array(fc.nat(40))).map(([text, sizes]) => {
  const pieces: string[] = [];
  let rest = text;
  for (const size of sizes) {
    pieces.push(rest.slice(0, size));
    rest = rest.slice(size);
  }
  return [...pieces, rest];
});

it('tells each piece once, well-formed, at its offset, to the end', () => {
  fc.assert(
    fc.property(cut, (pieces) => {
      let told = '';
      const text = createReplyText({
        everyMs: 0,
        onNew(offset, piece) {
          expect(offset).toBe(told.length);
          expect(piece.isWellFormed()).toBe(true);
          told += piece;
        },
      });
      for (const piece of pieces) {
        const before = text.soFar;
        text.add(piece);
        expect(text.soFar.startsWith(before)).toBe(true);
      }
      expect(text.end()).toBe(pieces.join('').replaceAll('\0', ''));
      expect(told).toBe(text.soFar);
    }),
  );
});

it('makes whole what is not, and leaves out half a pair that broke off', () => {
  const text = createReplyText({ everyMs: 0, onNew() {} });
  text.add('a\udc00b');
  text.add('\ud83d');
  text.add('c\ud83d');
  expect(text.end()).toBe('a\ufffdb\ufffdc');
});
