// The store of the SDK: a value that can be read, set and listened to. Framework-free on purpose;
// React reads a cell by `useSyncExternalStore`.

/** A value with listeners. */
export interface Readable<T> {
  get(): T;
  /** Calls `listener` after each change; returns the function that stops it. */
  subscribe(listener: () => void): () => void;
}

/** A `Readable` that its owner may set. */
export interface Cell<T> extends Readable<T> {
  /** Setting the same value (`Object.is`) tells nobody. */
  set(value: T): void;
  update(change: (value: T) => T): void;
}

export function cell<T>(initial: T): Cell<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  const set = (next: T) => {
    if (Object.is(next, value)) return;
    value = next;
    for (const listener of listeners) listener();
  };
  return {
    get: () => value,
    set,
    update: (change) => set(change(value)),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
