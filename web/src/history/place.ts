import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
let place: string | undefined;

/** Where one is in the history: when the exchange at the top of what is visible was written (ISO 8601). */
export const placeInTime = {
  get: (): string | undefined => place,
  set(createdAt: string | undefined): void {
    if (createdAt === place) return;
    place = createdAt;
    for (const listener of [...listeners]) listener();
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

export function usePlaceInTime(): string | undefined {
  return useSyncExternalStore(placeInTime.subscribe, placeInTime.get);
}
