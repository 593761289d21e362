/** setTimeout takes no more (2^31-1 ms, 24.8 days), and calls back at once instead. */
const LONGEST = 2 ** 31 - 1;

/** Calls back at an instant, however far away; with the way to call it off. */
export function at(instant: Date, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = () => {
    const left = instant.getTime() - Date.now();
    if (left > LONGEST) timer = setTimeout(wait, LONGEST);
    else timer = setTimeout(callback, Math.max(0, left));
  };
  wait();
  return () => clearTimeout(timer);
}

/** Resolves with the promise, or without it after so many ms. */
export async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
