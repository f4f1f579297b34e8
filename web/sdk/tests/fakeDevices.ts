// A browser's devices, which tests plug in and out. The first of a kind is the standard one.

import { vi } from "vitest";
import { LOOK_EVERY } from "../src/deviceList";

export class FakeTrack extends EventTarget {
  enabled = true;
  stopped = false;

  constructor(readonly device: string, readonly label = device) {
    super();
  }

  stop(): void {
    this.stopped = true;
  }

  getSettings(): MediaTrackSettings {
    return { deviceId: this.device };
  }

  /** It ends by itself. */
  end(): void {
    this.stopped = true;
    this.dispatchEvent(new Event("ended"));
  }
}

const KIND = { mic: "audioinput", cam: "videoinput", spk: "audiooutput" } as const;

/** Devices are called "mic A", "cam B", "spk C"; these are their ids, too. */
export class FakeDevices extends EventTarget {
  readonly tracks: FakeTrack[] = [];
  /** DOMException names, by device; "all" stands for every one. */
  readonly refusals = new Map<string, string>();
  readonly looks = vi.fn<() => void>();
  /** Before a grant the browser tells neither ids nor names. */
  granted = true;
  /** Put before every id: another one at another visit, for browsers that give no lasting ids. */
  prefix = "";
  #plugged: string[];

  constructor(...plugged: string[]) {
    super();
    this.#plugged = plugged;
    vi.stubGlobal("navigator", { mediaDevices: this, userAgent: "Test" });
  }

  readonly enumerateDevices = async () => {
    this.looks();
    const told = (text: string) => (this.granted ? text : "");
    return this.#plugged.map((device) => ({ kind: kindOf(device), deviceId: told(this.prefix + device), label: told(device), groupId: "" }));
  };

  readonly getUserMedia = async (constraints: MediaStreamConstraints): Promise<MediaStream> => {
    await Promise.resolve(); // never at once
    const kind = constraints.audio ? "audioinput" : "videoinput";
    const id = ((constraints.audio ?? constraints.video) as { deviceId?: { exact: string } }).deviceId?.exact;
    if (id && !id.startsWith(this.prefix)) throw new DOMException("no", "OverconstrainedError");
    const exact = id?.slice(this.prefix.length);
    const there = this.#plugged.filter((device) => kindOf(device) === kind);
    if (exact && !there.includes(exact)) throw new DOMException("no", "OverconstrainedError");
    const device = exact ?? there[0];
    if (!device) throw new DOMException("no", "NotFoundError");
    const refusal = this.refusals.get(device) ?? this.refusals.get("all");
    if (refusal) throw new DOMException("no", refusal);
    this.granted = true;
    const track = new FakeTrack(this.prefix + device, device);
    this.tracks.push(track);
    return { getTracks: () => [track] } as unknown as MediaStream;
  };

  /** The devices that are running. */
  get running(): string[] {
    return this.tracks.filter(({ stopped }) => !stopped).map(({ label }) => label);
  }

  plugIn(device: string): void {
    this.#plugged.push(device);
    this.dispatchEvent(new Event("devicechange"));
  }

  plugOut(device: string): void {
    this.#plugged = this.#plugged.filter((other) => other !== device);
    for (const track of this.tracks) if (track.label === device && !track.stopped) track.end();
    this.dispatchEvent(new Event("devicechange"));
  }
}

function kindOf(device: string): MediaDeviceKind {
  return KIND[device.slice(0, 3) as keyof typeof KIND];
}

/** Until what was plugged in or out has been noticed, and has had its effects; needs fake timers. */
export async function noticed(): Promise<void> {
  await vi.advanceTimersByTimeAsync(LOOK_EVERY);
  await vi.advanceTimersByTimeAsync(0);
}
