/** A guest of this device. */
export interface Kept {
  readonly token: string;
  readonly userId: string;
}

const KEY = 'chatkeep:guest';

export function read(): Kept | undefined {
  try {
    const { token, userId } = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return typeof token === 'string' && typeof userId === 'string' ? { token, userId } : undefined;
  } catch {
    // Nothing of ours, or a browser that keeps nothing.
    return undefined;
  }
}

/** Keeps a guest, and the one before under a key of its own: there is no other way back to it. */
export function keep({ token, userId }: Kept): Kept {
  const before = read();
  try {
    if (before && before.userId !== userId) {
      localStorage.setItem(`${KEY}:${before.userId}`, JSON.stringify(before));
    }
    localStorage.setItem(KEY, JSON.stringify({ token, userId }));
  } catch {
    // A browser that keeps nothing: the guest lasts as long as the page.
  }
  return { token, userId };
}

/** Calls back when another tab keeps another guest. */
export function onKept(listener: () => void): void {
  window.addEventListener('storage', ({ key }) => {
    if (key === KEY) listener();
  });
}
