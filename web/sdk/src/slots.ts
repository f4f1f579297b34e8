// Who is in a slot. The server re-binds slots without touching the SDP; the binding event says
// which RTP timestamp the new owner's first frame has, and `requestVideoFrameCallback` says which
// frame is on the screen, so a name never stands under another person's picture.

import type { SlotKind, Source } from "./messages";

/** The server's word: from the packet with timestamp `rtp` on, `who` is in the slot. */
export interface Binding {
  slot: string;
  who: string | null;
  source: Source | null;
  binding: number;
  rtp: number | null;
}

/** What a slot shows at this moment. */
export interface Shown {
  slot: string;
  kind: SlotKind;
  who: string | null;
  source: Source | null;
  /** Frames put on the screen since the slot was made. */
  frames: number;
  width: number;
  height: number;
}

/** Whether 32-bit timestamp `a` is at or after `b`, across the wrap. */
export function atOrAfter(a: number, b: number): boolean {
  return ((a - b) >>> 0) < 0x8000_0000;
}

/** One receive slot: holds the old name until the new owner's first frame is there. */
export class SlotView {
  #waiting: Binding[] = [];
  #latest = 0;
  readonly shown: Shown;

  constructor(slot: string, kind: SlotKind, private readonly changed: (shown: Shown) => void) {
    this.shown = { slot, kind, who: null, source: null, frames: 0, width: 0, height: 0 };
  }

  /** A binding event; late and repeated ones are ignored. */
  bind(binding: Binding): void {
    if (binding.binding <= this.#latest) return;
    this.#latest = binding.binding;
    // Emptying shows at once: no frame will come. Sound has no frames to wait for.
    if (binding.who === null || this.shown.kind === "audio") {
      this.#waiting = [];
      this.#show(binding);
    } else {
      this.#waiting.push(binding);
    }
  }

  /** A frame is on the screen; `rtp` is its timestamp where the browser tells it. */
  frame(rtp: number | undefined, width: number, height: number): void {
    this.shown.frames += 1;
    this.shown.width = width;
    this.shown.height = height;
    const due = this.#waiting.findLastIndex((binding) => reached(binding, rtp));
    const binding = this.#waiting[due];
    this.#waiting.splice(0, due + 1); // whoever came before is over with it
    if (binding) this.#show(binding);
    else this.changed(this.shown);
  }

  #show(binding: Binding): void {
    this.shown.who = binding.who;
    this.shown.source = binding.source;
    this.changed(this.shown);
  }
}

function reached(binding: Binding, rtp: number | undefined): boolean {
  return rtp === undefined || binding.rtp === null || atOrAfter(rtp, binding.rtp);
}
