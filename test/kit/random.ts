/** Numbers that come again with the same seed (mulberry32). */
export function createRandom(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  return { below, pick, oneIn: (n: number) => below(n) === 0 };
}

export type Random = ReturnType<typeof createRandom>;

/** Of this run: SEED=… makes the same choices again (what they meet is up to the machine). */
export const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000_007);
