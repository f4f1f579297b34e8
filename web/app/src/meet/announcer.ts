// What is said aloud. Two live regions stand in the page from the start; a polite queue says one
// sentence per 1.5 s, keeps three waiting, and merges what is of one kind.

const PACE = 1500;
const MOST_WAITING = 3;
const READ_WITHIN = 1000;

interface Entry {
  kind: string;
  text: string;
}

interface Merge {
  /** How long sentences of this kind are gathered after one was said. */
  window: number;
  /** The sentence for several at once; empty when there is nothing to say any more. */
  many(count: number): string;
}

export class Announcer {
  readonly #polite: HTMLElement;
  readonly #assertive: HTMLElement;
  readonly #queue: Entry[] = [];
  readonly #gathering = new Map<string, { texts: string[]; many(count: number): string }>();
  #busy = false;

  constructor(polite: HTMLElement, assertive: HTMLElement) {
    this.#polite = polite;
    this.#assertive = assertive;
  }

  /** Says `text` when its turn comes; with `merge`, the first at once and the rest together. */
  polite(kind: string, text: string, merge?: Merge): void {
    if (!merge) {
      this.#enqueue({ kind, text });
      return;
    }
    const gathering = this.#gathering.get(kind);
    if (gathering) {
      gathering.texts.push(text);
      return;
    }
    this.#enqueue({ kind, text });
    this.#gathering.set(kind, { texts: [], many: merge.many });
    setTimeout(() => this.#gathered(kind), merge.window);
  }

  /** Says `text` now, over whatever is being said. */
  assertive(text: string): void {
    say(this.#assertive, text);
  }

  #gathered(kind: string): void {
    const gathering = this.#gathering.get(kind);
    this.#gathering.delete(kind);
    const [first, ...others] = gathering?.texts ?? [];
    if (!gathering || first === undefined) return;
    this.#enqueue({ kind, text: others.length === 0 ? first : gathering.many(others.length + 1) });
  }

  #enqueue(entry: Entry): void {
    if (!entry.text) return;
    const waiting = this.#queue.findIndex(({ kind }) => kind === entry.kind);
    if (waiting >= 0) this.#queue.splice(waiting, 1);
    this.#queue.push(entry);
    if (this.#queue.length > MOST_WAITING) this.#queue.shift();
    if (!this.#busy) this.#next();
  }

  #next(): void {
    const entry = this.#queue.shift();
    this.#busy = entry !== undefined;
    if (!entry) return;
    say(this.#polite, entry.text);
    setTimeout(() => this.#next(), PACE);
  }
}

/** A region is read when its text changes; what was read is taken away, so that nobody finds it later. */
function say(region: HTMLElement, text: string): void {
  // The same sentence again needs a change.
  const written = region.textContent === text ? `${text}\u00A0` : text;
  region.textContent = written;
  setTimeout(() => {
    if (region.textContent === written) region.textContent = "";
  }, READ_WITHIN);
}
