/** Keeps one copy of what repeats: names and keys come anew with each request, and would each time be kept anew. */
export interface Interner {
  text(value: string): string;
  /** The first of all values that had this key. */
  value<T extends object>(key: string, make: () => T): T;
}

/** Makes an interner that forgets everything when it has seen `maxEntries`, or `maxChars` of text: what repeats soon comes back. */
export function createInterner(maxEntries = 4_096, maxChars = 4_194_304): Interner {
  const texts = createBounded<string>(maxEntries, maxChars);
  const values = createBounded<unknown>(maxEntries, maxChars);
  return {
    text(value) {
      const known = texts.get(value);
      if (known !== undefined) return known;
      texts.set(value, value);
      return value;
    },
    value<T extends object>(key: string, make: () => T): T {
      const known = values.get(key);
      if (known !== undefined) return fromKnown<T>(known);
      const made = make();
      values.set(key, made);
      return made;
    },
  };
}

/** A map that is emptied when its keys are too many or too long together: what strangers send must not stay. */
function createBounded<V>(
  maxEntries: number,
  maxChars: number,
): { get(key: string): V | undefined; set(key: string, value: V): void } {
  const map = new Map<string, V>();
  let chars = 0;
  return {
    get: (key) => map.get(key),
    set(key, value) {
      if (map.size >= maxEntries || chars + key.length > maxChars) {
        map.clear();
        chars = 0;
      }
      map.set(key, value);
      chars += key.length;
    },
  };
}

/** A key stands for values of one type: callers put the type into the key. */
function fromKnown<T>(known: unknown): T {
  return known as T;
}
