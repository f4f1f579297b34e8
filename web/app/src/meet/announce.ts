// What a screen reader hears: a polite queue (one message per 1.5 s, merged by kind, three waiting
// at most) and an assertive region. Both exist from the first paint, or they would not be read.

const PACE = 1500;
const MOST_WAITING = 3;

interface Waiting {
  kind: string;
  text: string;
}

export class Announcer {
  readonly #polite: HTMLElement;
  readonly #assertive: HTMLElement;
  #queue: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: HTMLElement) {
    this.#polite = region("polite");
    this.#assertive = region("assertive");
    host.append(this.#polite, this.#assertive);
  }

  /** Says it when there is room; a newer message of the same kind replaces a waiting one. */
  say(kind: string, text: string): void {
    this.#queue = [...this.#queue.filter((waiting) => waiting.kind !== kind), { kind, text }].slice(-MOST_WAITING);
    this.#timer ??= setTimeout(() => this.#next(), 50);
  }

  /** Says it now. */
  shout(text: string): void {
    this.#assertive.textContent = text;
  }

  #next(): void {
    this.#timer = undefined;
    const waiting = this.#queue.shift();
    if (!waiting) return;
    this.#polite.textContent = waiting.text;
    this.#timer = setTimeout(() => this.#next(), PACE);
  }
}

/** Collects events for a while and tells their names once. */
export class Merger {
  #names: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly every: number, private readonly tell: (names: string[]) => void) {}

  add(name: string): void {
    this.#names.push(name);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.tell(this.#names.splice(0));
    }, this.every);
  }
}

function region(politeness: "polite" | "assertive"): HTMLElement {
  const element = document.createElement("div");
  element.className = "visually-hidden";
  element.setAttribute("aria-live", politeness);
  return element;
}
