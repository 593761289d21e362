/** So many looks without an answer are the end; the first one comes at any time after the question. */
const LOOKS = 4;

interface Waiting {
  looks: number;
  giveUp(): void;
}

/**
 * Gives up answers that do not come within `ms`, or a third more. Not by the clock alone: a process that stood
 * still, or has much else to do, finds its timers run out before it has read what has long been there. So all
 * that are waited for are looked at several times, each time after the sockets were read.
 */
export function createPatience(ms: number) {
  const waiting = new Set<Waiting>();
  let isLooking = false;

  // Between timers and immediates a turn of the event loop reads what has come.
  const lookLater = () => setTimeout(() => setImmediate(look), ms / (LOOKS - 1));

  function look(): void {
    for (const one of waiting) {
      one.looks += 1;
      if (one.looks < LOOKS) continue;
      waiting.delete(one);
      one.giveUp();
    }
    isLooking = waiting.size > 0;
    if (isLooking) lookLater();
  }

  /** The answer, or an error if it does not come in time. */
  return function inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const one = { looks: 0, giveUp: () => reject(new Error('It did not answer in time.')) };
      waiting.add(one);
      if (!isLooking) lookLater();
      isLooking = true;
      answer.finally(() => waiting.delete(one)).then(resolve, reject);
    });
  };
}
