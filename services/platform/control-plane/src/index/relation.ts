/** Which members belong to a key, kept up to date from the members' side. */
export class Relation<Key, Member> implements Iterable<readonly [Key, ReadonlySet<Member>]> {
  readonly #members = new Map<Key, Set<Member>>();

  /** The members of a key; empty for one that has none. */
  get(key: Key): ReadonlySet<Member> {
    return this.#members.get(key) ?? new Set();
  }

  /** Keys that have a member. */
  keys(): Iterable<Key> {
    return this.#members.keys();
  }

  [Symbol.iterator](): Iterator<readonly [Key, ReadonlySet<Member>]> {
    return this.#members.entries();
  }

  /** The member belonged to the old keys and now belongs to the new ones. */
  replace(member: Member, oldKeys: readonly Key[] = [], newKeys: readonly Key[] = []): void {
    for (const key of oldKeys) {
      const members = this.#members.get(key);
      members?.delete(member);
      if (members?.size === 0) this.#members.delete(key);
    }
    for (const key of newKeys) {
      const members = this.#members.get(key) ?? new Set();
      this.#members.set(key, members.add(member));
    }
  }
}
