/** Keeps one copy of what repeats: names and keys come anew with each request, and would each time be kept anew. */
export interface Interner {
  text(value: string): string;
  /** The first of all values that had this key. */
  value<T extends object>(key: string, make: () => T): T;
}

/** Makes an interner that forgets everything when it has seen `maxEntries`: what repeats soon comes back. */
export function createInterner(maxEntries = 4_096): Interner {
  const texts = new Map<string, string>();
  const values = new Map<string, unknown>();
  const bounded = <V>(map: Map<string, V>): Map<string, V> => {
    if (map.size >= maxEntries) map.clear();
    return map;
  };
  return {
    text(value) {
      const known = texts.get(value);
      if (known !== undefined) return known;
      bounded(texts).set(value, value);
      return value;
    },
    value<T extends object>(key: string, make: () => T): T {
      const known = values.get(key);
      if (known !== undefined) return fromKnown<T>(known);
      const made = make();
      bounded(values).set(key, made);
      return made;
    },
  };
}

/** A key stands for values of one type: callers put the type into the key. */
function fromKnown<T>(known: unknown): T {
  return known as T;
}
