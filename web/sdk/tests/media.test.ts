// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Media } from "../src/media";
import type { Shown } from "../src/slots";
import { FakePeerConnection } from "./fakePeerConnection";

/** A server that answers offers while it is there; offers without an answer wait. */
class Answers {
  there = true;
  refusing = false;
  offers = 0;
  #waiting: (() => void)[] = [];

  readonly take = async (): Promise<{ sdp: string }> => {
    this.offers += 1;
    if (!this.there) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.refusing) throw new Error("refused");
    return { sdp: "v=0" };
  };

  back(): void {
    this.there = true;
    for (const answer of this.#waiting.splice(0)) answer();
  }
}

function make(answers: Answers) {
  const seen = { lost: [] as boolean[], shown: [] as Shown[] };
  const media = new Media({
    negotiate: answers.take,
    onSlot: (shown) => seen.shown.push({ ...shown }),
    onSlots: () => {},
    onLost: (lost) => seen.lost.push(lost),
  });
  return { media, seen };
}

const last = () => FakePeerConnection.made.at(-1) as FakePeerConnection;
const open = () => FakePeerConnection.made.filter(({ closed }) => !closed).length;

/** The path is dead for this long, and says so again and again. */
async function dead(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    if (!last().closed) last().become("failed");
    await vi.advanceTimersByTimeAsync(500);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  FakePeerConnection.made = [];
  vi.stubGlobal("RTCPeerConnection", FakePeerConnection);
  vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => null });
  vi.stubGlobal("CompressionStream", undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function started() {
  const answers = new Answers();
  const made = make(answers);
  await made.media.start();
  last().become("connected");
  return { answers, ...made };
}

describe("a dead path", () => {
  it("is repaired by an ICE restart, and by a new connection where that brought nothing", async () => {
    const { answers, seen } = await started();
    await dead(500);
    expect([answers.offers, FakePeerConnection.made.length]).toEqual([2, 1]);
    await dead(4000);
    expect([answers.offers, FakePeerConnection.made.length]).toEqual([3, 2]);
    last().become("connected");
    expect(seen.lost).toEqual([true, false]);
  });

  it("asks an absent server once, however long it is away", async () => {
    const { answers } = await started();
    answers.there = false;
    await dead(20_000);
    expect(answers.offers).toBe(2);
    answers.back();
    await vi.advanceTimersByTimeAsync(0);
    last().become("connected");
    await vi.advanceTimersByTimeAsync(20_000);
    expect([answers.offers, FakePeerConnection.made.length]).toEqual([2, 1]);
  });

  it("whose new connection is refused gets another one", async () => {
    const { answers } = await started();
    await dead(500);
    answers.refusing = true;
    await dead(4000);
    answers.refusing = false;
    await vi.advanceTimersByTimeAsync(4000);
    expect([answers.offers, open()]).toEqual([4, 1]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(answers.offers).toBe(4);
  });
});

describe("a closed one", () => {
  it("connects no more and leaves the server to its successor, whatever waited for its turn", async () => {
    const { answers, media } = await started();
    answers.there = false;
    await dead(8000);
    void media.start();
    void media.restart();
    void media.grow(12);
    media.close();
    const successor = make(answers);
    void successor.media.start();
    answers.back();
    await vi.advanceTimersByTimeAsync(0);
    expect([FakePeerConnection.made.length, open()]).toEqual([2, 1]);
    last().become("connected");
    const { offers } = answers;
    await vi.advanceTimersByTimeAsync(60_000);
    expect([answers.offers, FakePeerConnection.made.length, open()]).toEqual([offers, 2, 1]);
  });

  it("makes no offer that was not sent before", async () => {
    const answers = new Answers();
    const { media } = make(answers);
    void media.start();
    await Promise.resolve();
    media.close();
    await vi.advanceTimersByTimeAsync(10_000);
    expect([answers.offers, open()]).toEqual([0, 0]);
  });
});

describe("more slots", () => {
  it("are offered up to as many as the server binds, whatever is asked for", async () => {
    const { media } = await started();
    const added = vi.spyOn(last(), "addTransceiver");
    await media.grow(30);
    expect(added).toHaveBeenCalledTimes(25 - 8);
  });

  it("that were refused are offered again, later and later, until they are taken", async () => {
    const answers = new Answers();
    const { media } = make(answers);
    await media.start();
    answers.refusing = true;
    await media.grow(12);
    expect(answers.offers).toBe(2);
    await vi.advanceTimersByTimeAsync(2000);
    expect(answers.offers).toBe(3);
    await vi.advanceTimersByTimeAsync(3999);
    expect(answers.offers).toBe(3);
    answers.refusing = false;
    await vi.advanceTimersByTimeAsync(1);
    expect(answers.offers).toBe(4);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(answers.offers).toBe(4);
  });
});

describe("what a slot shows", () => {
  const MIC = { slot: "3", who: "a", source: "mic" as const, binding: 1, rtp: null };

  it("may be told before the answer was applied", async () => {
    const { media, seen } = make(new Answers());
    vi.spyOn(FakePeerConnection.prototype, "setRemoteDescription").mockImplementationOnce(async () => media.bind(MIC));
    await media.start();
    expect(seen.shown.some(({ slot, who }) => slot === "3" && who === "a")).toBe(true);
  });

  it("is about the connection before, until the answer came", async () => {
    const answers = new Answers();
    const { media, seen } = make(answers);
    answers.there = false;
    const starting = media.start();
    await vi.advanceTimersByTimeAsync(0);
    media.bind({ ...MIC, who: "old", binding: 9 });
    answers.back();
    await starting;
    expect(seen.shown).toEqual([]);
    media.bind(MIC);
    expect(seen.shown.at(-1)?.who).toBe("a");
  });

  it("on a connection that never came is forgotten with it", async () => {
    const answers = new Answers();
    const { media, seen } = make(answers);
    answers.there = false;
    answers.refusing = true;
    const first = media.start().catch(() => {});
    await vi.advanceTimersByTimeAsync(0);
    media.bind(MIC);
    answers.back();
    await first;
    answers.refusing = false;
    await media.start();
    expect(seen.shown.filter(({ who }) => who === "a")).toEqual([]);
  });
});
