// Short notes over the stage: three at most, one per kind, gone after six seconds unless somebody
// points at them. Nothing lives only here: whatever a toast says can be seen elsewhere, too.

import { type Cell, cell } from "../../../sdk/src/index";

export interface Toast {
  kind: string;
  text: string;
  action?: { text: string; act(): void };
}

const MOST = 3;
const SECONDS = 6;

export class Toasts {
  readonly list: Cell<readonly Toast[]> = cell<readonly Toast[]>([]);
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #held = false;

  show(toast: Toast): void {
    this.list.update((list) => [...list.filter(({ kind }) => kind !== toast.kind), toast].slice(-MOST));
    this.#arm(toast.kind);
  }

  close(kind: string): void {
    clearTimeout(this.#timers.get(kind));
    this.#timers.delete(kind);
    this.list.update((list) => list.filter((toast) => toast.kind !== kind));
    if (this.list.get().length === 0) this.#held = false; // what was pointed at is gone without a word
  }

  clear(): void {
    for (const { kind } of this.list.get()) this.close(kind);
  }

  /** While somebody points at them or has the focus in them, they stay. */
  hold(held: boolean): void {
    this.#held = held;
    for (const { kind } of this.list.get()) this.#arm(kind);
  }

  #arm(kind: string): void {
    clearTimeout(this.#timers.get(kind));
    if (!this.#held) this.#timers.set(kind, setTimeout(() => this.close(kind), SECONDS * 1000));
  }
}
