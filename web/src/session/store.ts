/** A value that changes, for useSyncExternalStore. */
export interface Store<T> {
  get(): T;
  subscribe(listener: () => void): () => void;
}

export function createStore<T>(value: T): Store<T> & { set(value: T): void } {
  let current = value;
  const listeners = new Set<() => void>();
  return {
    get: () => current,
    set(next) {
      current = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
