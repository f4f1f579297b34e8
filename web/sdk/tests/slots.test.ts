import { describe, expect, it } from "vitest";
import { atOrAfter, type Shown, SlotView } from "../src/slots";

function view(kind: "video" | "audio" = "video") {
  const told: (string | null)[] = [];
  const slot = new SlotView("6", kind, (shown: Shown) => told.push(shown.who));
  return { slot, told };
}

const bind = (who: string | null, binding: number, rtp: number | null) =>
  ({ slot: "6", who, source: who === null ? null : "camera", binding, rtp }) as const;

describe("timestamps", () => {
  it("compare across the 32-bit wrap", () => {
    expect(atOrAfter(5, 5)).toBe(true);
    expect(atOrAfter(10, 0xffff_fff0)).toBe(true);
    expect(atOrAfter(0xffff_fff0, 10)).toBe(false);
  });
});

describe("a slot", () => {
  it("holds the old name until the new owner's first frame", () => {
    const { slot } = view();
    slot.bind(bind("ana", 1, 1000));
    slot.frame(1000, 640, 360);
    slot.bind(bind("kim", 2, 9000));
    slot.frame(6000, 640, 360);
    expect(slot.shown.who).toBe("ana");
    slot.frame(9000, 640, 360);
    expect(slot.shown.who).toBe("kim");
  });

  it("takes the last of several owners whose frames have come", () => {
    const { slot } = view();
    slot.bind(bind("ana", 1, 0xffff_ff00));
    slot.bind(bind("kim", 2, 100));
    slot.frame(200, 640, 360);
    expect(slot.shown.who).toBe("kim");
  });

  it("does not wait for the frame of an owner who is over", () => {
    const { slot } = view();
    slot.bind(bind("ana", 1, 0x8000_0000));
    slot.bind(bind("kim", 2, 100));
    slot.frame(200, 640, 360);
    expect(slot.shown.who).toBe("kim");
  });

  it("ignores bindings that are older than the newest", () => {
    const { slot } = view();
    slot.bind(bind("kim", 2, 100));
    slot.bind(bind("ana", 1, 50));
    slot.frame(200, 640, 360);
    expect(slot.shown.who).toBe("kim");
  });

  it("is empty at once, as no frame will come", () => {
    const { slot, told } = view();
    slot.bind(bind("ana", 1, 100));
    slot.frame(100, 640, 360);
    slot.bind(bind(null, 2, null));
    expect(told.at(-1)).toBeNull();
    slot.frame(100, 640, 360);
    expect(slot.shown.who).toBeNull();
  });

  it("with sound shows its owner at once", () => {
    const { slot } = view("audio");
    slot.bind(bind("ana", 1, 5));
    expect(slot.shown.who).toBe("ana");
  });

  it("counts every frame", () => {
    const { slot } = view();
    for (let frame = 1; frame <= 50; frame += 1) slot.frame(frame * 3000, 320, 180);
    expect(slot.shown).toMatchObject({ frames: 50, width: 320, height: 180 });
  });

  it("never shows a wrong name over 200 seeded switches, whichever of frame and event comes late", () => {
    let seed = 20_261_125;
    const random = () => ((seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff) / 0x7fff_ffff);
    const { slot } = view();
    let rtp = 0xffff_0000;
    let wrong = 0;
    for (let change = 1; change <= 200; change += 1) {
      const owner = `p${change}`;
      rtp = (rtp + 3000) >>> 0;
      slot.bind(bind(owner, change, rtp));
      // Frames of the owner before may still be in the decoder when the event comes.
      for (let late = 0; late < random() * 3; late += 1) {
        slot.frame((rtp - 6000 + late * 1000) >>> 0, 640, 360);
        if (change > 1 && slot.shown.who !== `p${change - 1}`) wrong += 1;
      }
      const frames = 1 + Math.floor(random() * 20);
      for (let frame = 0; frame < frames; frame += 1) {
        slot.frame(rtp, 640, 360);
        if (slot.shown.who !== owner) wrong += 1;
        if (frame < frames - 1) rtp = (rtp + 3000) >>> 0;
      }
    }
    expect(wrong).toBe(0);
  });
});
