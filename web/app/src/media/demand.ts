// What the stage asks of the server: how large each slot is drawn, in device pixels. Growing is told
// at once, shrinking after a second, and a hidden page asks for sound only after ten.

import type { Meeting, SlotSize, View } from "../../../sdk/src/index";
import type { Box } from "./layout";

export interface Wish {
  layout: View["layout"];
  page: number;
  pins: string[];
  /** By participant. */
  boxes: ReadonlyMap<string, Box>;
  screen: Box | null;
}

const UP = 100;
const DOWN = 1000;
const HIDDEN = 10_000;
const MOST_SCALE = 2;
const NOTHING = { w: 0, h: 0 };
/** Asked of the screen slot while nobody shares, so that a share starts sharp. */
const WHOLE = { w: 1920, h: 1080 };

export class Demand {
  readonly #meeting: Meeting;
  #wish: Wish | null = null;
  #told: View | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  #hiddenSince: number | null = null;

  constructor(meeting: Meeting) {
    this.#meeting = meeting;
  }

  want(wish: Wish): void {
    this.#wish = wish;
    this.#hiddenSince = document.hidden ? (this.#hiddenSince ?? performance.now()) : null;
    const view = this.#view();
    if (!view || JSON.stringify(view) === JSON.stringify(this.#told)) return;
    this.#arm(grows(view, this.#told) ? UP : DOWN);
    if (this.#hiddenSince !== null) this.#arm(HIDDEN);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** Tells in `wait` milliseconds, or sooner if that is due already. */
  #arm(wait: number): void {
    const due = performance.now() + wait;
    if (due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), wait);
  }

  #tell(): void {
    this.#due = Infinity;
    const view = this.#view();
    if (!view) return;
    this.#told = view;
    this.#meeting.setView(view).catch(() => {
      this.#told = null; // told again with the next change, or by the next connection
    });
    if (this.#hiddenSince !== null && view.slots.some(({ w }) => w > 0)) {
      this.#arm(Math.max(UP, this.#hiddenSince + HIDDEN - performance.now()));
    }
  }

  #view(): View | null {
    const slots = this.#meeting.slotList.get().filter(({ kind }) => kind !== "audio");
    if (!this.#wish || slots.length === 0) return null;
    const { layout, page, pins, boxes, screen } = this.#wish;
    const asleep = this.#hiddenSince !== null && performance.now() - this.#hiddenSince >= HIDDEN;
    const owners = this.#meeting.slots.get();
    const usual = [...boxes.values()].at(-1);
    const size = (mid: string, kind: string) => {
      if (asleep) return NOTHING;
      if (kind === "screen") return screen ? pixels(screen) : WHOLE;
      const owner = owners.get(mid)?.who;
      // A free slot is asked for at the size its next owner will have.
      const box = owner ? boxes.get(owner) : usual;
      return box ? pixels(box) : NOTHING;
    };
    const sizes = slots.map(({ mid, kind }): SlotSize => {
      const { w, h } = size(mid, kind);
      return { slot: mid, w, h };
    });
    return { layout, page, pins, slots: sizes };
  }
}

function pixels({ w, h }: Box): { w: number; h: number } {
  const scale = Math.min(window.devicePixelRatio || 1, MOST_SCALE);
  return { w: Math.round(w * scale), h: Math.round(h * scale) };
}

/** Whether anything but smaller pictures is asked. */
function grows(next: View, told: View | null): boolean {
  if (!told || next.layout !== told.layout || next.page !== told.page || next.pins.join() !== told.pins.join()) return true;
  const before = new Map(told.slots.map(({ slot, w }) => [slot, w]));
  return next.slots.some(({ slot, w }) => w > (before.get(slot) ?? 0));
}
