// @vitest-environment happy-dom
import { beforeEach, describe, expect, it, vi } from "vitest";
import { DeviceError } from "../src/devices";
import { LocalMedia } from "../src/local";
import { FakeTrack } from "./fakeDevices";

/** Devices that start when the test says so, in the order in which it says so. */
class Devices {
  readonly asked: { device: string; start(): FakeTrack; fail(name: string): void }[] = [];

  readonly open = (constraints: MediaStreamConstraints): Promise<MediaStream> => {
    const wish = (constraints.audio ?? constraints.video) as { deviceId?: { exact: string } };
    const device = wish.deviceId?.exact ?? "default";
    return new Promise((resolve, reject) => {
      this.asked.push({
        device,
        start() {
          const track = new FakeTrack(device);
          resolve({ getTracks: () => [track] } as unknown as MediaStream);
          return track;
        },
        fail: (name) => reject(new DOMException("no", name)),
      });
    });
  };
}

let devices: Devices;
let local: LocalMedia;
let sent: (string | null)[];
const camera = () => local.sources.camera.get();
const settle = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  devices = new Devices();
  local = new LocalMedia();
  sent = [];
  local.onTrack = (_, track) => sent.push((track as unknown as FakeTrack | null)?.device ?? null);
  const nothing = { enumerateDevices: async () => [], addEventListener() {}, removeEventListener() {} };
  vi.stubGlobal("navigator", { mediaDevices: { ...nothing, getUserMedia: devices.open } });
});

describe("a source that is turned off and on while its device starts", () => {
  it("ends on, with one device", async () => {
    const first = local.set("camera", true);
    await local.set("camera", false);
    expect(camera()).toMatchObject({ on: false, starting: false });
    const again = local.set("camera", true);
    const [unused, used] = devices.asked.map((asked) => asked.start());
    await Promise.all([first, again]);
    expect(camera()).toMatchObject({ on: true, starting: false, track: used, problem: null });
    expect([unused?.stopped, used?.stopped]).toEqual([true, false]);
    expect(sent).toEqual(["default"]);
  });

  it("does not hear of the failure that it no longer waits for", async () => {
    const first = local.set("camera", true);
    await local.set("camera", false);
    const again = local.set("camera", true);
    devices.asked[0]?.fail("NotReadableError");
    await first;
    expect(camera()).toMatchObject({ on: true, starting: true, problem: null });
    devices.asked[1]?.start();
    await again;
    expect(camera()).toMatchObject({ on: true, starting: false });
  });

  it("ends off when that was the last wish", async () => {
    const first = local.set("mic", true);
    await local.set("mic", false);
    const track = devices.asked[0]?.start();
    await first;
    expect(track?.stopped).toBe(true);
    expect(local.sources.mic.get()).toMatchObject({ on: false, track: null, starting: false });
  });

  it("ends off when everything is stopped", async () => {
    const first = local.set("camera", true);
    local.stop();
    const track = devices.asked[0]?.start();
    await first;
    expect([track?.stopped, camera().on, camera().starting]).toEqual([true, false, false]);
  });
});

describe("a wish that is repeated while the device starts", () => {
  it("asks for no second device and learns what comes of the first", async () => {
    const wishes = [local.set("camera", true), local.set("camera", true)];
    devices.asked[0]?.fail("NotReadableError");
    const outcomes = await Promise.allSettled(wishes);
    expect(devices.asked).toHaveLength(1);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(camera()).toMatchObject({ on: false, starting: false, problem: "in_use" });
  });
});

describe("choosing another device", () => {
  it("twice, quickly, ends at the last wish, whichever starts last", async () => {
    const on = local.set("camera", true);
    const first = devices.asked[0]?.start();
    await on;
    const choices = [local.choose("camera", "a"), local.choose("camera", "b")];
    const b = devices.asked[2]?.start();
    await settle();
    const a = devices.asked[1]?.start();
    await Promise.all(choices);
    expect(camera()).toMatchObject({ on: true, track: b, deviceId: "b", starting: false });
    expect([first?.stopped, a?.stopped, b?.stopped]).toEqual([true, true, false]);
    expect(sent).toEqual(["default", "b"]);
  });

  it("that does not start leaves the one before on", async () => {
    const on = local.set("camera", true);
    const first = devices.asked[0]?.start();
    await on;
    const choice = local.choose("camera", "a");
    devices.asked[1]?.fail("NotReadableError");
    await expect(choice).rejects.toBeInstanceOf(DeviceError);
    expect(first?.stopped).toBe(false);
    expect(camera()).toMatchObject({ on: true, track: first, deviceId: undefined, problem: null });
    expect(sent).toEqual(["default"]);
  });

  it("and muting before it started unmutes on the chosen one", async () => {
    const on = local.set("mic", true);
    devices.asked[0]?.start();
    await on;
    const choice = local.choose("mic", "a");
    await local.set("mic", false);
    devices.asked[1]?.start();
    await choice;
    const again = local.set("mic", true);
    const a = devices.asked[2]?.start();
    await again;
    expect(a?.device).toBe("a");
    expect(local.sources.mic.get()).toMatchObject({ on: true, track: a });
  });
});

describe("a device that is unplugged", () => {
  it("is replaced by the default one", async () => {
    local.sources.camera.update((now) => ({ ...now, deviceId: "a" }));
    const on = local.set("camera", true);
    const track = devices.asked[0]?.start();
    await on;
    track?.dispatchEvent(new Event("ended"));
    const other = devices.asked[1]?.start();
    await settle();
    expect(other?.device).toBe("default");
    expect(camera()).toMatchObject({ on: true, track: other });
  });

  it("while another one starts gives way to that", async () => {
    const on = local.set("camera", true);
    const track = devices.asked[0]?.start();
    await on;
    const choice = local.choose("camera", "b");
    track?.dispatchEvent(new Event("ended"));
    expect(devices.asked).toHaveLength(2);
    const b = devices.asked[1]?.start();
    await choice;
    expect(camera()).toMatchObject({ on: true, track: b });
  });
});

describe("a microphone that is muted", () => {
  it("keeps its device, silenced, and is back at once", async () => {
    const on = local.set("mic", true);
    const track = devices.asked[0]?.start();
    await on;
    await local.set("mic", false);
    expect([track?.enabled, track?.stopped]).toEqual([false, false]);
    await local.set("mic", true);
    expect([track?.enabled, devices.asked.length]).toEqual([true, 1]);
  });
});
