// @vitest-environment happy-dom
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Notice, View } from "../src/index";
import { FakeDevices, noticed } from "./fakeDevices";
import { FakePeerConnection } from "./fakePeerConnection";
import { inside, joined, outside, room, Server, settle, withServer } from "./fakeServer";

withServer();

const track = () => Object.assign(new EventTarget(), { enabled: true, kind: "audio", label: "USB", getSettings: () => ({}), stop: () => {} }) as unknown as MediaStreamTrack;

describe("the offer", () => {
  it("labels three sources and the slots: 3 audio, 8 video, 1 screen", async () => {
    await joined(inside);
    const [offer] = Server.current.asked("media.offer") as { tracks: { source: string }[]; slots: { kind: string }[] }[];
    expect(offer?.tracks.map(({ source }) => source)).toEqual(["mic", "camera", "screen"]);
    expect(offer?.slots.map(({ kind }) => kind).join(" ")).toBe(`${"audio ".repeat(3)}${"video ".repeat(8)}screen`);
  });

  it("is tried again while the server can't take it", async () => {
    Server.refusals = { "media.offer": { code: "unavailable" } };
    const meeting = await joined(inside);
    expect(meeting.mediaLost.get()).toBe(true);
    Server.refusals = {};
    await vi.advanceTimersByTimeAsync(1100);
    expect(FakePeerConnection.made).toHaveLength(2);
    expect(FakePeerConnection.made[1]?.closed).toBe(false);
    FakePeerConnection.made[1]?.become("connected");
    expect(meeting.mediaLost.get()).toBe(false);
  });

  it("comes anew when the server has forgotten us", async () => {
    await joined(inside);
    Server.current.close(1006);
    await vi.advanceTimersByTimeAsync(400);
    Server.current.tell("snapshot", inside);
    await settle();
    expect(FakePeerConnection.made.map(({ closed }) => closed)).toEqual([true, false]);
  });
});

const offersAndViews = () => Server.current.requests.map(({ m }) => m).filter((method) => method === "media.offer" || method === "view.set");

describe("the view", () => {
  const view: View = { layout: "grid", page: 0, pins: [], slots: [{ slot: "6", w: 640, h: 360 }] };

  it("of who waited is told once there are slots to fill", async () => {
    const meeting = await joined(outside);
    await meeting.setView(view);
    expect(offersAndViews()).toEqual([]);
    Server.current.tell("snapshot", inside);
    await settle();
    expect(offersAndViews()).toEqual(["media.offer", "view.set"]);
  });

  it("is told again to who has not seen it: a transport made anew, and slots that came later", async () => {
    const meeting = await joined(inside);
    await meeting.setView(view);
    Server.current.close(1006);
    await vi.advanceTimersByTimeAsync(400);
    Server.current.tell("snapshot", inside);
    await settle();
    expect(offersAndViews()).toEqual(["media.offer", "view.set"]);
    await meeting.grow(12);
    await settle();
    expect(offersAndViews()).toEqual(["media.offer", "view.set", "media.offer", "view.set"]);
    expect(Server.current.asked("view.set")).toEqual([view, view]);
  });
});

describe("an own source", () => {
  beforeEach(() => {
    const nothing = { enumerateDevices: async () => [], addEventListener() {}, removeEventListener() {} };
    vi.stubGlobal("navigator", { mediaDevices: { ...nothing, getUserMedia: async () => ({ getTracks: () => [track()] }) } });
  });

  it.each(["event", "snapshot"])("is on again when an end that was told twice is taken back by a %s", async (by) => {
    const meeting = await joined(inside);
    await meeting.setSource("mic", true);
    Server.current.tell("room.state", { state: "ending", ends_in_ms: 10_000 });
    await settle();
    expect(meeting.local.sources.mic.get().on).toBe(false);
    const until = new Date(Date.now() + 8000).toISOString();
    Server.current.tell("snapshot", { ...inside, room: { ...room, state: "ending", ending_until: until } });
    await settle();
    if (by === "event") Server.current.tell("room.state", { state: "live" });
    else Server.current.tell("snapshot", inside);
    await settle();
    expect([meeting.state.get(), meeting.endsAt.get()]).toEqual(["live", null]);
    expect(meeting.local.sources.mic.get().on).toBe(true);
  });

  it("that is on at the door is told on entering", async () => {
    const meeting = await joined(outside);
    await meeting.setSource("mic", true);
    expect(Server.current.asked("track.set")).toEqual([]);
    Server.current.tell("snapshot", inside);
    await settle();
    expect(Server.current.asked("track.set")).toEqual([{ source: "mic", on: true }]);
  });

  it("without the right is turned off, and the page is told why", async () => {
    const notices: Notice[] = [];
    const meeting = await joined(outside);
    meeting.onNotice = (notice) => notices.push(notice);
    await meeting.setSource("mic", true);
    Server.refusals = { "track.set": { code: "forbidden" } };
    Server.current.tell("snapshot", inside);
    await settle();
    expect(meeting.local.sources.mic.get().on).toBe(false);
    expect(notices).toMatchObject([{ kind: "refused", source: "mic", error: { code: "forbidden" } }]);
  });

  it("that the server refuses goes off again", async () => {
    const meeting = await joined(inside);
    Server.refusals = { "track.set": { code: "forbidden", need: "publish_mic" } };
    await expect(meeting.setSource("mic", true)).rejects.toMatchObject({ code: "forbidden" });
    expect(meeting.local.sources.mic.get().on).toBe(false);
  });

  it("is on again when the end is taken back, but for a screen: nobody shares again without a word", async () => {
    const meeting = await joined(inside);
    await meeting.setSource("mic", true);
    meeting.local.sources.screen.update((now) => ({ ...now, on: true }));
    const set = vi.spyOn(meeting.local, "set");
    Server.current.tell("room.state", { state: "ending", ends_in_ms: 10_000 });
    await settle();
    Server.current.tell("room.state", { state: "live" });
    await settle();
    expect(set.mock.calls).toEqual([["mic", true]]);
  });

  it("that was missing at the end is asked for still when the end is taken back: it starts when it is plugged in", async () => {
    const devices = new FakeDevices();
    const meeting = await joined(inside);
    await expect(meeting.setSource("mic", true)).rejects.toThrow("none");
    Server.current.tell("room.state", { state: "ending", ends_in_ms: 10_000 });
    await settle();
    Server.current.tell("room.state", { state: "live" });
    await settle();
    devices.plugIn("mic A");
    await noticed();
    expect([meeting.local.sources.mic.get().on, devices.running]).toEqual([true, ["mic A"]]);
  });

  it("stays on when only a passing reason hinders, and is told again", async () => {
    const meeting = await joined(outside);
    await meeting.setSource("mic", true);
    Server.refusals = { "track.set": { code: "rate", retry_ms: 300 } };
    Server.current.tell("snapshot", inside);
    await settle();
    Server.refusals = {};
    await vi.advanceTimersByTimeAsync(300);
    expect(meeting.local.sources.mic.get().on).toBe(true);
    expect(Server.current.asked("track.set")).toHaveLength(2);
  });

  it("that is turned off while it starts is off for the others, too", async () => {
    const meeting = await joined(inside);
    const on = meeting.setSource("camera", true);
    await meeting.setSource("camera", false);
    await on;
    expect(Server.current.asked("track.set")).toEqual([{ source: "camera", on: false }]);
    expect(meeting.local.sources.camera.get()).toMatchObject({ on: false, track: null, starting: false });
  });

  it("is off for the others when it is unplugged, and on when one is plugged in", async () => {
    const devices = new FakeDevices("mic A");
    const notices: Notice[] = [];
    const meeting = await joined(inside);
    meeting.onNotice = (notice) => notices.push(notice);
    await meeting.setSource("mic", true);
    devices.plugOut("mic A");
    await noticed();
    devices.plugIn("mic B");
    await noticed();
    expect(Server.current.asked("track.set")).toEqual([true, false, true].map((on) => ({ source: "mic", on })));
    expect(notices.map(({ kind }) => kind)).toEqual(["device_gone", "device_found"]);
  });

  it("plays what is attached on the chosen speaker, and no element that was replaced", async () => {
    const meeting = await joined(inside);
    const sinks: string[] = [];
    const element = (name: string) => Object.assign(document.createElement("audio"), { setSinkId: async (sink: string) => void sinks.push(`${name}: ${sink}`) });
    meeting.attach("3", element("old"));
    meeting.attach("3", element("new"));
    await meeting.speaker.choose("spk A");
    expect(sinks).toEqual(["new: spk A"]);
    meeting.attach("4", element("later"));
    expect(sinks).toEqual(["new: spk A", "later: spk A"]);
    await meeting.speaker.choose("");
  });

  it("is off at once when a host mutes it", async () => {
    const meeting = await joined(inside);
    await meeting.setSource("mic", true);
    Server.current.tell("muted", { source: "mic", by: null });
    await settle();
    const { on, track: kept } = meeting.local.sources.mic.get();
    expect([on, kept?.enabled]).toEqual([false, false]);
  });
});
