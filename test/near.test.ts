import { expect, it } from 'vitest';
import { withNear } from '../src/services/near.ts';

const near = (message: string, needle: string, response = '') =>
  withNear(
    [
      { field: 'MESSAGE', text: message },
      { field: 'RESPONSE', text: response },
    ],
    [needle],
  ).slice(1);

it.each([
  ['Two Swallows over the barn', 'swalows', ['swallows']],
  ['a restaurant by the sea', 'restarant', ['restaurant']],
  ['restore, restaurants, restaurant', 'restuarant', ['restaurant']],
  ['ein Frühstück im Bett', 'fruhstuk', ['fruhstuck']],
  ['nothing of it', 'swallows', []],
  ['the swallows', 'swallow', []],
])('of %j, %s means %j', (text, needle, words) => {
  expect(near(text, needle)).toEqual(words);
});

it('looks into both texts', () => {
  expect(near('a barn', 'barn', 'a born')).toEqual([]);
  expect(near('a barn', 'swallow', 'a swalow')).toEqual(['swalow']);
});
