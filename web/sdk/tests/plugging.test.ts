// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LOOK_EVERY } from "../src/deviceList";
import { type DeviceChange, LocalMedia, shownDevice } from "../src/local";
import { Speaker } from "../src/speaker";
import { FakeDevices, noticed } from "./fakeDevices";

let local: LocalMedia;
let told: DeviceChange[];
let ended: string[];
let started: string[];

beforeEach(() => {
  vi.useFakeTimers();
  local = new LocalMedia();
  [told, ended, started] = [[], [], []];
  local.onDevice = (change) => told.push(change);
  local.onEnded = (source) => ended.push(source);
  local.onStarted = (source) => started.push(source);
});
afterEach(() => {
  local.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const mic = () => local.sources.mic.get();
const camera = () => local.sources.camera.get();
/** An element that plays on every speaker, but for what comes of this one. */
const but = (id: string, outcome: () => Promise<void>) => ({ setSinkId: (to: string) => (to === id ? outcome() : Promise.resolve()) }) as unknown as HTMLMediaElement;

describe("the chosen microphone", () => {
  let devices: FakeDevices;
  beforeEach(async () => {
    devices = new FakeDevices("mic A", "mic B");
    await local.choose("mic", "mic B");
    await local.set("mic", true);
  });

  it("that is unplugged is stood in for, said, and stays the wish", async () => {
    devices.plugOut("mic B");
    await noticed();
    expect(devices.running).toEqual(["mic A"]);
    expect(mic()).toMatchObject({ on: true, deviceId: "mic B", device: { deviceId: "mic A", standsIn: true } });
    expect(shownDevice(mic())).toBe("mic A");
    expect(told).toEqual([{ kind: "device_gone", source: "mic", device: "mic B", used: "mic A" }]);
    expect(ended).toEqual([]);
  });

  it("is taken back when it returns, and that is said", async () => {
    devices.plugOut("mic B");
    await noticed();
    devices.plugIn("mic B");
    await noticed();
    expect(devices.running).toEqual(["mic B"]);
    expect(shownDevice(mic())).toBe("mic B");
    expect(told.at(-1)).toEqual({ kind: "device_back", source: "mic", device: "mic B" });
  });

  it("that was out and in again between two looks is taken back, too", async () => {
    devices.plugOut("mic B");
    devices.plugIn("mic B");
    await noticed();
    expect(devices.running).toEqual(["mic B"]);
  });

  it("that returns while muted is taken back muted", async () => {
    devices.plugOut("mic B");
    await noticed();
    await local.set("mic", false);
    devices.plugIn("mic B");
    await noticed();
    expect(devices.running).toEqual(["mic B"]);
    expect([mic().on, devices.tracks.at(-1)?.enabled]).toEqual([false, false]);
    expect(started).toEqual([]);
    await local.set("mic", true);
    expect(devices.tracks.at(-1)?.enabled).toBe(true);
  });

  it("that returns and does not start is left alone until it comes once more; what stood in goes on", async () => {
    devices.plugOut("mic B");
    await noticed();
    devices.refusals.set("mic B", "NotReadableError");
    const tries = vi.spyOn(devices, "getUserMedia");
    devices.plugIn("mic B");
    await noticed();
    devices.plugIn("mic C");
    await noticed();
    expect([tries.mock.calls.length, devices.running]).toEqual([1, ["mic A"]]);
    expect(shownDevice(mic())).toBe("mic A");
    devices.refusals.clear();
    devices.plugOut("mic B");
    await noticed();
    devices.plugIn("mic B");
    await noticed();
    expect(devices.running).toEqual(["mic B"]);
  });

  it("that returns and does not start, while what stood in is unplugged, is stood in for by the next", async () => {
    devices.plugIn("mic C");
    devices.plugOut("mic B");
    await noticed();
    devices.refusals.set("mic B", "NotReadableError");
    const open = devices.getUserMedia;
    vi.spyOn(devices, "getUserMedia").mockImplementationOnce((constraints) => {
      devices.plugOut("mic A");
      return open(constraints);
    });
    devices.plugIn("mic B");
    await noticed();
    expect([devices.running, mic().on, ended]).toEqual([["mic C"], true, []]);
    expect(told.at(-1)).toEqual({ kind: "device_gone", source: "mic", device: "mic A", used: "mic C" });
  });

  it("is not taken back when another one was chosen meanwhile, be it the one in use", async () => {
    devices.plugOut("mic B");
    await noticed();
    await local.choose("mic", "mic A");
    devices.plugIn("mic B");
    await noticed();
    expect(devices.running).toEqual(["mic A"]);
    expect(mic()).toMatchObject({ deviceId: "mic A", device: { standsIn: false } });
  });

  it("that is unplugged muted goes silently to the next one, which is said when it is used", async () => {
    await local.set("mic", false);
    devices.plugOut("mic B");
    await noticed();
    expect(mic()).toMatchObject({ on: false, track: null, problem: null });
    expect(told).toEqual([{ kind: "device_gone", source: "mic", device: "mic B", used: null }]);
    await local.set("mic", true);
    await noticed();
    expect(devices.running).toEqual(["mic A"]);
    expect(told.at(-1)).toEqual({ kind: "device_gone", source: "mic", device: "mic B", used: "mic A" });
  });

  it("that is the last one ends the source; the next that is plugged in starts it, and the chosen one follows", async () => {
    devices.plugOut("mic A");
    devices.plugOut("mic B");
    await noticed();
    expect(mic()).toMatchObject({ on: false, problem: "none" });
    expect(told).toEqual([{ kind: "device_gone", source: "mic", device: "mic B", used: null }]);
    expect(ended).toEqual(["mic"]);
    devices.plugIn("mic A");
    await noticed();
    expect(mic()).toMatchObject({ on: true, problem: null });
    expect(started).toEqual(["mic"]);
    expect(told.at(-1)).toEqual({ kind: "device_found", source: "mic", device: "mic A" });
    devices.plugIn("mic B");
    await noticed();
    expect(devices.running).toEqual(["mic B"]);
  });

  it("that ends by itself, and starts again as the standard one, is nothing to tell", async () => {
    await local.choose("mic", "");
    devices.tracks.at(-1)?.end();
    await noticed();
    expect([devices.running, mic().on, told]).toEqual([["mic A"], true, []]);
  });

  it("whose permission is taken back is not called unplugged", async () => {
    devices.refusals.set("all", "NotAllowedError");
    devices.tracks[0]?.end();
    await noticed();
    expect(mic()).toMatchObject({ on: false, problem: "denied" });
    expect(told).toEqual([{ kind: "device_failed", source: "mic", problem: "denied" }]);
    expect(ended).toEqual(["mic"]);
  });
});

describe("a device that is missing", () => {
  it("starts when it is plugged in, for who asked for it", async () => {
    const devices = new FakeDevices("cam A");
    await expect(local.set("mic", true)).rejects.toThrow("none");
    devices.plugIn("cam B");
    await noticed();
    expect(mic()).toMatchObject({ on: false, problem: "none" });
    devices.plugIn("mic A");
    await noticed();
    expect(mic()).toMatchObject({ on: true, problem: null });
    expect([started, devices.running]).toEqual([["mic"], ["mic A"]]);
  });

  it("starts also where the browser tells no ids before a grant", async () => {
    const devices = new FakeDevices();
    devices.granted = false;
    await expect(local.set("mic", true)).rejects.toThrow("none");
    devices.plugIn("mic A");
    await noticed();
    expect([mic().on, devices.running]).toEqual([true, ["mic A"]]);
    expect(mic().device?.label).toBe("mic A");
  });

  it("is left off for who turned it off again, and after the meeting", async () => {
    const devices = new FakeDevices();
    await expect(local.set("mic", true)).rejects.toThrow("none");
    await expect(local.set("camera", true)).rejects.toThrow("none");
    await local.set("mic", false);
    devices.plugIn("mic A");
    await noticed();
    expect(mic()).toMatchObject({ on: false, problem: null });
    local.stop();
    await local.set("mic", true);
    devices.plugIn("cam A");
    await noticed();
    expect([camera().on, devices.running]).toEqual([false, ["mic A"]]);
  });

  it("that was chosen and is not there from the start is told once", async () => {
    const devices = new FakeDevices("cam A");
    await local.choose("camera", "cam B");
    for (const on of [true, false, true]) {
      await local.set("camera", on);
      await noticed();
    }
    expect(told).toEqual([{ kind: "device_gone", source: "camera", device: "", used: "cam A" }]);
    devices.plugIn("cam B");
    await noticed();
    expect(devices.running).toEqual(["cam B"]);
  });

  it.each([true, false])("under its id and is there under another one goes by its name: names told before a grant %s", async (granted) => {
    const devices = new FakeDevices("cam A", "cam B", "spk A", "spk B");
    [devices.prefix, devices.granted] = ["2:", granted];
    const speaker = new Speaker(local.devices);
    speaker.onDevice = local.onDevice;
    local.prefer("camera", "1:cam B", "cam B");
    await speaker.choose("1:spk B", "spk B");
    await local.set("camera", true);
    await noticed();
    expect([devices.running, told]).toEqual([["cam B"], []]);
    expect([camera().deviceId, camera().device?.standsIn, speaker.state.get().used]).toEqual(["2:cam B", false, "2:spk B"]);
    await speaker.choose("");
  });

  it("that was chosen at an earlier visit is told by its name", async () => {
    const devices = new FakeDevices("cam A");
    local.prefer("camera", "1:cam B", "cam B");
    await local.set("camera", true);
    await noticed();
    expect([devices.running, told]).toEqual([["cam A"], [{ kind: "device_gone", source: "camera", device: "cam B", used: "cam A" }]]);
  });

  it("that is listed and does not start all the same is tried once a look", async () => {
    const devices = new FakeDevices("mic A", "cam A");
    devices.refusals.set("all", "NotFoundError");
    for (const source of ["mic", "camera"] as const) await expect(local.set(source, true)).rejects.toThrow("none");
    const tries = vi.spyOn(devices, "getUserMedia");
    devices.dispatchEvent(new Event("devicechange"));
    await noticed();
    await noticed();
    expect(tries.mock.calls.length).toBeLessThanOrEqual(4);
  });
});

describe("a device that is forbidden", () => {
  let devices: FakeDevices;
  let status: EventTarget & { state: string };
  const allow = () => {
    status.state = "granted";
    status.dispatchEvent(new Event("change"));
  };
  beforeEach(() => {
    devices = new FakeDevices();
    status = Object.assign(new EventTarget(), { state: "denied" });
    const query = async ({ name }: { name: string }) => (name === "microphone" ? status : Promise.reject(new TypeError()));
    vi.stubGlobal("navigator", { mediaDevices: devices, permissions: { query } });
  });

  it("starts as soon as it is allowed, for who asked for it", async () => {
    devices.plugIn("mic A");
    devices.refusals.set("all", "NotAllowedError");
    await expect(local.set("mic", true)).rejects.toThrow("denied");
    devices.refusals.clear();
    allow();
    await noticed();
    expect(mic()).toMatchObject({ on: true, problem: null });
    expect([started, told]).toEqual([["mic"], []]);
    await local.set("mic", false);
    allow();
    await noticed();
    expect(mic().on).toBe(false);
  });

  it("is started once when it is allowed because it was plugged in", async () => {
    await expect(local.set("mic", true)).rejects.toThrow("none");
    await noticed();
    const open = devices.getUserMedia;
    vi.spyOn(devices, "getUserMedia").mockImplementationOnce(async (constraints) => {
      await Promise.resolve(); // the browser asks
      allow();
      return open(constraints);
    });
    devices.plugIn("mic A");
    await noticed();
    expect([mic().on, devices.tracks.length]).toEqual([true, 1]);
  });
});

describe("another device that does not start", () => {
  it.each(["NotReadableError", "OverconstrainedError", "NotAllowedError"])("leaves the one in use, and its choice: %s", async (refusal) => {
    const devices = new FakeDevices("cam A", "cam B");
    await local.choose("camera", "cam A");
    await local.set("camera", true);
    devices.refusals.set("cam B", refusal);
    await expect(local.choose("camera", "cam B")).rejects.toThrow(/camera: (in_use|gone|denied)/);
    expect(devices.running).toEqual(["cam A"]);
    expect(camera()).toMatchObject({ on: true, deviceId: "cam A", problem: null, refused: { deviceId: "cam B" }, starting: false });
    expect(ended).toEqual([]);
    devices.plugOut("cam B");
    await noticed();
    expect(camera().refused).toBeNull();
  });

  it("leaves the choice before all of them when several were made quickly", async () => {
    const devices = new FakeDevices("cam A", "cam B", "cam C");
    await local.choose("camera", "cam A");
    await local.set("camera", true);
    devices.refusals.set("cam C", "NotReadableError");
    const choices = await Promise.allSettled([local.choose("camera", "cam B"), local.choose("camera", "cam C")]);
    expect(choices.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect([devices.running, camera().deviceId]).toEqual([["cam A"], "cam A"]);
  });

  it("gives way to the standard one when the one in use was unplugged meanwhile", async () => {
    const devices = new FakeDevices("cam A", "cam B", "cam C");
    await local.choose("camera", "cam C");
    await local.set("camera", true);
    devices.refusals.set("cam B", "NotReadableError");
    const choice = local.choose("camera", "cam B");
    devices.plugOut("cam C");
    await expect(choice).rejects.toThrow("in_use");
    expect([devices.running, camera().on, camera().deviceId]).toEqual([["cam A"], true, "cam C"]);
    expect(ended).toEqual([]);
  });

  it("and the one in use, chosen again at once, stays without a new start", async () => {
    const devices = new FakeDevices("cam A", "cam B");
    await local.choose("camera", "cam A");
    await local.set("camera", true);
    await Promise.all([local.choose("camera", "cam B"), local.choose("camera", "cam A")]);
    expect(devices.running).toEqual(["cam A"]);
    expect(camera()).toMatchObject({ deviceId: "cam A", starting: false, track: devices.tracks[0] });
  });

  it("was asked for: choosing one that works turns the source on", async () => {
    const devices = new FakeDevices("cam A", "cam B");
    devices.refusals.set("cam A", "NotReadableError");
    await expect(local.set("camera", true)).rejects.toThrow("in_use");
    await local.choose("camera", "cam B");
    expect([devices.running, started]).toEqual([["cam B"], ["camera"]]);
  });
});

describe("a phone, which opens one camera at a time", () => {
  let devices: FakeDevices;
  beforeEach(async () => {
    devices = new FakeDevices("cam front", "cam back");
    vi.stubGlobal("navigator", { mediaDevices: devices, userAgent: "Android" });
    const open = devices.getUserMedia;
    vi.spyOn(devices, "getUserMedia").mockImplementation((constraints) =>
      devices.running.length > 0 ? Promise.reject(new DOMException("no", "NotReadableError")) : open(constraints));
    await local.choose("camera", "cam front");
    await local.set("camera", true);
  });

  it("changes it all the same", async () => {
    await local.choose("camera", "cam back");
    expect([devices.running, camera().on, camera().deviceId]).toEqual([["cam back"], true, "cam back"]);
  });

  it("has the first one again when the other does not start", async () => {
    devices.refusals.set("cam back", "NotReadableError");
    await expect(local.choose("camera", "cam back")).rejects.toThrow("in_use");
    expect([devices.running, camera().on, camera().deviceId]).toEqual([["cam front"], true, "cam front"]);
    expect(camera().refused).toEqual({ deviceId: "cam back", problem: "in_use" });
  });
});

describe("what is plugged in", () => {
  it("is looked at once for a storm of events, and again at its end", async () => {
    const devices = new FakeDevices("mic A");
    const stop = local.devices.subscribe(() => {});
    await noticed();
    devices.looks.mockClear();
    for (let event = 0; event < 100; event += 1) devices.dispatchEvent(new Event("devicechange"));
    await noticed();
    expect(devices.looks).toHaveBeenCalledTimes(1);
    for (let event = 0; event < 20; event += 1) {
      devices.dispatchEvent(new Event("devicechange"));
      await vi.advanceTimersByTimeAsync(LOOK_EVERY / 2);
    }
    devices.plugIn("mic B");
    await noticed();
    expect(local.devices.of("audioinput").map(({ deviceId }) => deviceId)).toEqual(["mic A", "mic B"]);
    expect(devices.looks.mock.calls.length).toBeLessThan(13);
    stop();
    devices.looks.mockClear();
    devices.plugIn("mic C");
    await noticed();
    expect(devices.looks).not.toHaveBeenCalled();
  });
});

describe("the list of devices", () => {
  it("is what the latest look found, whichever look ends last", async () => {
    const devices = new FakeDevices("mic A");
    const found = await devices.enumerateDevices();
    vi.spyOn(devices, "enumerateDevices").mockImplementationOnce(() => new Promise((resolve) => { setTimeout(() => resolve(found), 10); }));
    const slow = local.devices.read();
    devices.plugIn("mic B");
    await local.devices.read();
    await vi.advanceTimersByTimeAsync(10);
    await slow;
    expect(local.devices.of("audioinput").map(({ deviceId }) => deviceId)).toEqual(["mic A", "mic B"]);
  });

  it("knows by its name the device itself, not what the system prefers today", async () => {
    const devices = new FakeDevices();
    const usb = { kind: "audioinput", label: "USB", groupId: "" } as const;
    vi.spyOn(devices, "enumerateDevices").mockResolvedValue([{ ...usb, deviceId: "default" }, { ...usb, deviceId: "7" }]);
    await local.devices.read();
    expect(local.devices.idOf("audioinput", "USB")).toBe("7");
  });

  it("is not read any more once everything was stopped", async () => {
    const devices = new FakeDevices("mic A");
    await local.set("mic", true);
    await noticed();
    local.stop();
    devices.looks.mockClear();
    devices.plugIn("mic B");
    await noticed();
    expect(devices.looks).not.toHaveBeenCalled();
  });
});

describe("a camera that another program has", () => {
  it("is tried again when something is plugged in, not when something is unplugged", async () => {
    const devices = new FakeDevices("cam A", "mic A");
    const tries = vi.spyOn(devices, "getUserMedia");
    devices.refusals.set("cam A", "NotReadableError");
    await expect(local.set("camera", true)).rejects.toThrow("in_use");
    await noticed();
    devices.plugOut("mic A");
    await noticed();
    expect(tries).toHaveBeenCalledTimes(1);
    devices.refusals.clear();
    devices.plugIn("cam B");
    await noticed();
    expect([camera().on, started]).toEqual([true, ["camera"]]);
    expect(told).toEqual([{ kind: "device_found", source: "camera", device: "cam A" }]);
  });
});

describe("a camera that the browser lists and does not find", () => {
  it("is looked for again when something else is plugged in, not for ever", async () => {
    const devices = new FakeDevices("cam A");
    let asked = 0;
    const capture = devices.getUserMedia;
    const counted = (constraints: MediaStreamConstraints) => {
      asked += 1;
      return asked > 50 ? new Promise<MediaStream>(() => {}) : capture(constraints); // or the test would never end
    };
    Object.assign(devices, { getUserMedia: counted });
    devices.refusals.set("all", "NotFoundError");
    local.prefer("camera", "cam Z", "cam Z");
    await local.set("camera", true).catch(() => {});
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toBeLessThan(10);
    devices.refusals.clear();
    devices.plugIn("cam B");
    await noticed();
    expect(camera().on).toBe(true);
  });
});

describe("the chosen speaker", () => {
  let speaker: Speaker;
  let sink: string;
  let refused: string;
  let devices: FakeDevices;
  const element = { setSinkId: async (id: string) => { if (id === refused) throw new DOMException("no", "AbortError"); sink = id; } } as HTMLMediaElement;
  beforeEach(async () => {
    devices = new FakeDevices("spk A", "spk B", "spk C");
    [sink, refused] = ["", "none"];
    speaker = new Speaker(local.devices);
    speaker.onDevice = (change) => told.push(change);
    speaker.add(element);
    await speaker.choose("spk B");
    await noticed();
  });
  afterEach(() => speaker.choose(""));

  it("plays while it is plugged in, and is taken back when it returns", async () => {
    expect(sink).toBe("spk B");
    devices.plugOut("spk B");
    await noticed();
    expect([sink, speaker.state.get()]).toEqual(["", { deviceId: "spk B", used: "", refused: null }]);
    devices.plugIn("spk B");
    await noticed();
    expect([sink, speaker.state.get().used]).toEqual(["spk B", "spk B"]);
    expect(told).toEqual([
      { kind: "device_gone", source: "speaker", device: "spk B", used: "" },
      { kind: "device_back", source: "speaker", device: "spk B" },
    ]);
  });

  it("plays on when another one refuses, whatever was chosen in between", async () => {
    refused = "spk C";
    await expect(speaker.choose("spk C")).rejects.toThrow("no");
    expect([sink, speaker.state.get()]).toEqual(["spk B", { deviceId: "spk B", used: "spk B", refused: "spk C" }]);
    await Promise.all([speaker.choose("spk C"), speaker.choose("spk A")]);
    expect([sink, speaker.state.get().used]).toEqual(["spk A", "spk A"]);
  });

  it("is the choice still when sound came up while another one refused", async () => {
    speaker.add(but("spk C", () => new Promise((_, reject) => { setTimeout(() => reject(new Error("no")), 10); })));
    const choosing = speaker.choose("spk C").catch(() => {});
    refused = "spk C";
    speaker.add({ ...element } as HTMLMediaElement);
    await vi.advanceTimersByTimeAsync(20);
    await choosing;
    expect(speaker.state.get()).toEqual({ deviceId: "spk B", used: "spk B", refused: "spk C" });
  });

  it("plays everything again when another one took a part of it and refused the rest", async () => {
    speaker.add(but("spk C", () => Promise.reject(new Error("no"))));
    await expect(speaker.choose("spk C")).rejects.toThrow("no");
    expect(sink).toBe("spk B");
  });

  it("gives way to the standard one for all when it refuses sound that came up", async () => {
    speaker.add(but("spk B", () => Promise.reject(new Error("no"))));
    await noticed();
    expect([sink, speaker.state.get()]).toEqual(["", { deviceId: "spk B", used: "", refused: null }]);
  });

  it("is the choice still when an earlier one comes back slowly", async () => {
    devices.plugOut("spk B");
    await noticed();
    speaker.add(but("spk B", () => new Promise((resolve) => { setTimeout(resolve, 10); })));
    devices.plugIn("spk B");
    await noticed();
    await speaker.choose("spk C");
    await vi.advanceTimersByTimeAsync(10);
    expect(speaker.state.get()).toEqual({ deviceId: "spk C", used: "spk C", refused: null });
    expect(told.map(({ kind }) => kind)).toEqual(["device_gone"]);
  });

  it("that is not there from the start is none that was unplugged", async () => {
    devices.granted = false;
    devices.dispatchEvent(new Event("devicechange"));
    await noticed();
    await speaker.choose("spk Z");
    expect(sink).toBe("spk Z"); // nobody knows yet
    devices.granted = true;
    devices.dispatchEvent(new Event("devicechange"));
    await noticed();
    expect([sink, speaker.state.get(), told]).toEqual(["", { deviceId: "spk Z", used: "", refused: null }, []]);
    devices.plugIn("spk Z");
    await noticed();
    expect([sink, told]).toEqual(["spk Z", []]);
  });
});
