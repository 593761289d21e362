/** What stands on a shelf. Ids sort in the order in which things were put there. */
export interface Kept {
  readonly id: string;
}

/**
 * Things that survive the page, each under a key of its own in localStorage, so that two tabs can put
 * and remove without taking each other's away. What the browser does not want to keep (its space is
 * full, or storing is forbidden) is kept for as long as the page lives.
 */
export function createShelf<T extends Kept>(name: string) {
  const prefix = `${name}:`;
  const onlyHere = new Map<string, T>();

  function read(key: string): T | undefined {
    try {
      return JSON.parse(localStorage.getItem(key) ?? 'null') ?? undefined;
    } catch {
      return undefined;
    }
  }

  return {
    /** In the order in which they were put. */
    all(): T[] {
      const stored = keys()
        .filter((key) => key.startsWith(prefix))
        .map(read);
      const all = [...stored.filter((one) => one !== undefined), ...onlyHere.values()];
      return all.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    get: (id: string): T | undefined => onlyHere.get(id) ?? read(prefix + id),
    put(thing: T): void {
      try {
        localStorage.setItem(prefix + thing.id, JSON.stringify(thing));
        onlyHere.delete(thing.id);
      } catch {
        onlyHere.set(thing.id, thing);
      }
    },
    remove(id: string): void {
      onlyHere.delete(id);
      try {
        localStorage.removeItem(prefix + id);
      } catch {
        // Nothing is there where storing is forbidden.
      }
    },
    /** Calls back when another tab has put or removed something. */
    onChange(listener: () => void): () => void {
      // Without a key: all of it was cleared.
      const heard = ({ key }: StorageEvent) => {
        if (key === null || key.startsWith(prefix)) listener();
      };
      window.addEventListener('storage', heard);
      return () => window.removeEventListener('storage', heard);
    },
  };
}

function keys(): string[] {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}
