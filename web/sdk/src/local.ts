// The own camera, microphone and screen, before and during a meeting. Mute acts here first and at
// once; telling the server is the meeting's part.
//
// The device that somebody chose is a wish and stays one: while it is unplugged the standard one
// stands in, and when it is back it is taken back. What works goes on working until the other one is
// there, and for good when that does not start.

import { type Cell, cell } from "./cell";
import { DeviceList } from "./deviceList";
import { capture, DeviceError, type DeviceProblem, KINDS, oneCameraAtATime, permissionFor } from "./devices";
import type { Source } from "./messages";

/** The device that a track is of. */
export interface UsedDevice {
  deviceId: string;
  label: string;
  /** Another one was chosen, and is unplugged. */
  standsIn: boolean;
}

export interface LocalSource {
  /** What the person asked for. */
  on: boolean;
  /** A muted microphone keeps its track (silenced) so that unmuting is instant. */
  track: MediaStreamTrack | null;
  /** The device that was chosen, plugged in or not; none or "" is the standard one. */
  deviceId: string | undefined;
  /** The device in use; null without a track. */
  device: UsedDevice | null;
  /** Why it is not on although the person asked for it. */
  problem: DeviceProblem | null;
  /** The last device that was to be used instead of the one in use, and did not start. */
  refused: { deviceId: string; problem: DeviceProblem } | null;
  starting: boolean;
}

/** The device that a menu shows as chosen: the one in use, and else the one that will be; "" is the standard one. */
export function shownDevice({ device, deviceId, starting }: LocalSource): string {
  return (device?.standsIn && !starting ? device.deviceId : deviceId) ?? "";
}

/** On, or asked for and missing: it starts when it is plugged in. */
export function wished({ on, problem }: LocalSource): boolean {
  return on || problem === "none";
}

/** What plugging in and out did, for a note to the person. `device` and `used` are names, "" when not known. */
export type DeviceChange =
  /** Unplugged. `used` stands in; null when nothing does: then it is off. */
  | { kind: "device_gone"; source: Source | "speaker"; device: string; used: string | null }
  /** The chosen device is there again, and used again. */
  | { kind: "device_back"; source: Source | "speaker"; device: string }
  /** What was missing was plugged in: the source, which was asked for, is on by it. */
  | { kind: "device_found"; source: Source; device: string }
  /** It ended, and not because somebody unplugged it: the permission was taken back, say. It is off. */
  | { kind: "device_failed"; source: Source; problem: DeviceProblem };

const OFF: LocalSource = { on: false, track: null, deviceId: undefined, device: null, problem: null, refused: null, starting: false };
const PLUGGED = ["mic", "camera"] as const;
/** Problems that a change of what is plugged in may solve. */
const MAY_PASS: ReadonlySet<DeviceProblem | null> = new Set<DeviceProblem>(["none", "gone", "in_use", "failed"]);
const MISSING: ReadonlySet<DeviceProblem | null> = new Set<DeviceProblem>(["none", "gone"]);

export class LocalMedia {
  readonly sources: Record<Source, Cell<LocalSource>> = {
    mic: cell(OFF),
    camera: cell(OFF),
    screen: cell(OFF),
  };
  /** What is plugged in. */
  readonly devices = new DeviceList();

  /** The track of a source changed; the meeting puts it on the wire. */
  onTrack: (source: Source, track: MediaStreamTrack | null) => void = () => {};
  /** A source that was on ended by itself: unplugged, or "Stop sharing" of the browser. */
  onEnded: (source: Source) => void = () => {};
  /** A source that was asked for came on by itself: what it lacked was plugged in, or allowed. */
  onStarted: (source: Source) => void = () => {};
  onDevice: (change: DeviceChange) => void = () => {};

  /** Counts the wishes: a device that comes after another wish is stopped unused. */
  readonly #wishes: Record<Source, number> = { mic: 0, camera: 0, screen: 0 };
  readonly #starts: Partial<Record<Source, Promise<boolean>>> = {};
  /** The choice under which the present track came: what is chosen again when another one does not start. */
  readonly #granted: Partial<Record<Source, string | undefined>> = {};
  /** What the chosen device is called. */
  readonly #names: Partial<Record<Source, string>> = {};
  /** A chosen device of which the person knows that it is missing. */
  readonly #told: Partial<Record<Source, string | undefined>> = {};
  /** The devices of each kind at the last look. */
  readonly #seen: Partial<Record<Source, ReadonlySet<string>>> = {};
  /** What was plugged in when a missing device was looked for in vain: once is enough. */
  readonly #tried: Partial<Record<Source, string>> = {};
  #watching: AbortController | null = null;

  /**
   * Turns a source on or off; absolute, so a repeat is harmless. A start that another wish
   * overtakes settles without an error.
   *
   * @throws DeviceError when the device does not start; the source is off then, and says why.
   */
  async set(source: Source, on: boolean): Promise<void> {
    const state = this.sources[source];
    if (!on) {
      this.#off(source);
      return;
    }
    const now = state.get();
    if (now.track) {
      now.track.enabled = true; // another device may be on its way, and comes enabled
      if (!now.on) state.set({ ...now, on: true });
      return;
    }
    if (now.starting) {
      await this.#starts[source];
      return;
    }
    if (await this.#start(source, now.deviceId, true)) void this.#tellIfMissing(source);
  }

  /**
   * A choice of an earlier visit, for the next start. Some browsers give a device another id at each
   * visit: then it goes by its name.
   */
  prefer(source: "mic" | "camera", deviceId: string, name: string): void {
    this.#names[source] = name;
    this.sources[source].update((now) => ({ ...now, deviceId }));
  }

  /**
   * Uses another device from now on; "" is the standard one. Starts it if the source is on, or was
   * asked for and did not start. The last of several choices wins.
   *
   * @throws DeviceError when it does not start. What worked before goes on and is the choice again.
   */
  async choose(source: Source, deviceId: string): Promise<void> {
    const state = this.sources[source];
    const { track, device, on, problem, starting, deviceId: before } = state.get();
    if (device && !device.standsIn && !starting && (before ?? "") === deviceId) return;
    const name = this.#names[source];
    this.#name(source, deviceId);
    if (track && device && deviceId && device.deviceId === deviceId) {
      this.#wishes[source] += 1; // an earlier choice may be on its way
      this.#granted[source] = deviceId;
      state.update((now) => ({ ...now, deviceId, device: { ...device, standsIn: false }, refused: null, starting: false }));
      return;
    }
    state.update((now) => ({ ...now, deviceId }));
    if (!track && !starting && problem === null) return; // off: it starts with this one
    const wanted = on || problem !== null;
    try {
      if (!(await this.#start(source, deviceId, wanted))) return;
      void this.#tellIfMissing(source);
      if (!on && state.get().on) this.onStarted(source);
    } catch (error) {
      const off = on && !state.get().on;
      if (off && track) state.update((now) => ({ ...now, deviceId: this.#granted[source] })); // it vanished meanwhile
      if (state.get().deviceId !== deviceId) this.#names[source] = name ?? "";
      if (off && track) await this.#standIn(source, device?.label ?? "");
      else if (off) this.onEnded(source);
      throw error;
    }
  }

  /** Stops every device. */
  stop(): void {
    this.#watching?.abort();
    this.#watching = null;
    for (const source of ["mic", "camera", "screen"] as const) {
      this.#wishes[source] += 1;
      this.#drop(source);
      this.sources[source].update((now) => ({ ...now, on: false, starting: false, problem: null, refused: null }));
    }
  }

  /** Settles true when it came to that; false when another wish overtook this one. */
  #start(source: Source, deviceId: string | undefined, on: boolean): Promise<boolean> {
    this.#watch();
    const wish = (this.#wishes[source] += 1);
    this.sources[source].update((now) => ({ ...now, on, starting: true, problem: null, refused: null }));
    return (this.#starts[source] = this.#fulfil(source, deviceId, () => wish === this.#wishes[source]));
  }

  /** From the first wish on: what is plugged in, and what the person allows later. */
  #watch(): void {
    if (this.#watching) return;
    const { signal } = (this.#watching = new AbortController());
    const stop = this.devices.watch(() => PLUGGED.forEach((source) => this.#look(source)));
    signal.addEventListener("abort", stop);
    for (const source of PLUGGED) {
      const changed = ({ state }: PermissionStatus) => {
        const { problem, starting } = this.sources[source].get();
        if (state === "granted" && problem !== null && !starting) void this.#again(source, problem);
      };
      void permissionFor(source).then((status) => status?.addEventListener("change", () => changed(status), { signal }));
    }
  }

  async #fulfil(source: Source, deviceId: string | undefined, wanted: () => boolean): Promise<boolean> {
    const state = this.sources[source];
    try {
      const [track, asked] = await this.#capture(source, deviceId);
      if (!wanted()) {
        track.stop();
        return false;
      }
      state.get().track?.stop();
      track.enabled = state.get().on;
      track.addEventListener("ended", () => this.#vanished(source, track));
      const wish = state.get().deviceId;
      this.#granted[source] = wish;
      const device = this.#describe(source, track, Boolean(wish) && asked !== wish);
      state.update((now) => ({ ...now, track, device, problem: null, refused: null, starting: false }));
      this.onTrack(source, track);
      if (source !== "screen") void this.devices.read(); // a grant tells names
      return true;
    } catch (error) {
      if (!wanted()) return false;
      const problem = error instanceof DeviceError ? error.problem : "failed";
      const { device } = state.get();
      if (device && problem === "in_use" && source === "camera" && oneCameraAtATime()) {
        await this.#exchange(deviceId, device.deviceId, wanted);
        return wanted();
      }
      const refused = { deviceId: deviceId ?? "", problem };
      if (device) state.update((now) => ({ ...now, deviceId: this.#granted[source], refused, starting: false }));
      else state.update((now) => ({ ...now, on: false, starting: false, problem }));
      throw error;
    }
  }

  /** For phones: lets the camera go before the other one starts, and takes it again when that fails. */
  async #exchange(deviceId: string | undefined, before: string, wanted: () => boolean): Promise<void> {
    const state = this.sources.camera;
    this.#drop("camera");
    try {
      await this.#fulfil("camera", deviceId, wanted);
    } catch (error) {
      state.update((now) => ({ ...now, on: true, starting: true, problem: null, deviceId: this.#granted.camera }));
      await this.#fulfil("camera", before, wanted).catch(() => {});
      const problem = error instanceof DeviceError ? error.problem : "failed";
      if (wanted()) state.update((now) => ({ ...now, refused: now.device && { deviceId: deviceId ?? "", problem } }));
      throw error;
    }
  }

  /** The track, and the device that was asked for in the end: of one that is unplugged the standard one, if nothing works yet. */
  async #capture(source: Source, deviceId: string | undefined): Promise<[MediaStreamTrack, string | undefined]> {
    try {
      return [await capture(source, { deviceId }), deviceId];
    } catch (error) {
      const gone = error instanceof DeviceError && error.problem === "gone";
      if (!gone || !deviceId || this.sources[source].get().track) throw error;
      const other = await this.#anotherId(source);
      return other ? [await capture(source, { deviceId: other }), other] : [await capture(source), undefined];
    }
  }

  #describe(source: Source, track: MediaStreamTrack, standsIn: boolean): UsedDevice {
    const deviceId = track.getSettings().deviceId ?? "";
    const label = source === "screen" ? "" : this.devices.nameOf(KINDS[source], deviceId);
    return { deviceId, label: label || track.label, standsIn };
  }

  #off(source: Source): void {
    const state = this.sources[source];
    const { track, starting } = state.get();
    this.#wishes[source] += 1;
    if (source === "mic" && track && !starting) track.enabled = false;
    else this.#drop(source);
    state.update((now) => ({ ...now, on: false, starting: false, problem: null, refused: null }));
  }

  #drop(source: Source): void {
    const state = this.sources[source];
    const { track } = state.get();
    if (!track) return;
    track.stop();
    state.update((now) => ({ ...now, track: null, device: null }));
    this.onTrack(source, null);
  }

  #vanished(source: Source, track: MediaStreamTrack): void {
    const state = this.sources[source];
    const { track: current, device, on, starting } = state.get();
    if (current !== track) return;
    this.#drop(source);
    if (starting) return; // another one is on its way
    if (source === "screen") {
      state.update((now) => ({ ...now, on: false }));
      this.onEnded(source);
      return;
    }
    const gone = device?.label ?? "";
    if (on) void this.#standIn(source, gone);
    else this.onDevice({ kind: "device_gone", source, device: gone, used: null });
  }

  /** A camera or microphone was unplugged: the standard one takes over. */
  async #standIn(source: Source, gone: string): Promise<void> {
    const state = this.sources[source];
    try {
      if (!(await this.#start(source, undefined, true))) return;
      const { device, deviceId } = state.get();
      const used = device?.label ?? "";
      this.#told[source] = deviceId;
      if (used !== gone || used === "") this.onDevice({ kind: "device_gone", source, device: gone, used }); // else it is the very same again
    } catch {
      this.onEnded(source);
      const { problem } = state.get();
      if (problem === null) return; // turned off meanwhile
      if (MAY_PASS.has(problem)) this.onDevice({ kind: "device_gone", source, device: gone, used: null });
      else this.onDevice({ kind: "device_failed", source, problem });
    }
  }

  /** The chosen device is not there from the start, and another one stands in. */
  async #tellIfMissing(source: Source): Promise<void> {
    if (source === "screen" || !this.sources[source].get().device?.standsIn) return;
    await this.devices.read(); // with the grant the browser tells names: it may be there under another id
    const { device, deviceId, starting } = this.sources[source].get();
    if (!device?.standsIn || !deviceId || starting || this.#told[source] === deviceId) return;
    this.#told[source] = deviceId;
    this.onDevice({ kind: "device_gone", source, device: this.#names[source] ?? "", used: device.label });
  }

  #name(source: Source, deviceId: string): void {
    this.#names[source] = source === "screen" ? "" : this.devices.nameOf(KINDS[source], deviceId);
  }

  /** The present id of the chosen device, when it has got another one since it was chosen; becomes the choice. */
  async #anotherId(source: Source): Promise<string> {
    await this.devices.read();
    return this.#follow(source);
  }

  #follow(source: Source): string {
    const state = this.sources[source];
    const { deviceId, device } = state.get();
    if (source === "screen" || !deviceId || this.devices.has(KINDS[source], deviceId) !== false) return "";
    const other = this.devices.idOf(KINDS[source], this.#names[source] ?? "");
    if (!other) return "";
    this.#granted[source] = other;
    state.update((now) => ({ ...now, deviceId: other, device: device && { ...device, standsIn: device.standsIn && device.deviceId !== other } }));
    return other;
  }

  /** What is plugged in may have changed. */
  #look(source: "mic" | "camera"): void {
    const kind = KINDS[source];
    const { device, deviceId, problem, refused, starting } = this.sources[source].get();
    if (starting) {
      const again = () => this.#look(source);
      void this.#starts[source]?.then(again, again);
      return;
    }
    if (device?.standsIn && this.#follow(source)) {
      this.#look(source);
      return;
    }
    const before = this.#seen[source];
    const ids = new Set(this.devices.of(kind).map((entry) => entry.deviceId));
    this.#seen[source] = ids;
    const plugged = [...ids].join();
    if (this.#tried[source] !== plugged) delete this.#tried[source];
    const there = deviceId ? ids.has(deviceId) : false;
    if (there && deviceId) this.#name(source, deviceId);
    if (there && !device?.standsIn) delete this.#told[source];
    if (refused?.deviceId && !ids.has(refused.deviceId)) this.sources[source].update((now) => ({ ...now, refused: null }));
    this.#rename(source);
    // One that came back and did not start is tried again when it comes once more.
    if (device?.standsIn && deviceId && there && refused?.deviceId !== deviceId) void this.#takeBack(source, deviceId);
    else if (MAY_PASS.has(problem) && this.devices.any(kind)) {
      const more = before !== undefined && [...ids].some((id) => !before.has(id));
      if (more || (MISSING.has(problem) && this.#tried[source] === undefined)) {
        this.#tried[source] = plugged;
        void this.#found(source);
      }
    }
  }

  /** A name may be known by now: browsers tell none before a grant. */
  #rename(source: "mic" | "camera"): void {
    const { device } = this.sources[source].get();
    if (!device || this.devices.knows(device.label)) return;
    const label = this.devices.nameOf(KINDS[source], device.deviceId);
    if (label && label !== device.label) this.sources[source].update((now) => ({ ...now, device: { ...device, label } }));
  }

  async #takeBack(source: Source, deviceId: string): Promise<void> {
    const state = this.sources[source];
    const { on, device: before } = state.get();
    try {
      if (!(await this.#start(source, deviceId, on))) return;
      if (this.#told[source] === undefined) return; // nobody knows that it was missing
      delete this.#told[source];
      this.onDevice({ kind: "device_back", source, device: state.get().device?.label ?? "" });
    } catch (error) {
      if (error instanceof DeviceError && error.problem === "gone") state.update((now) => ({ ...now, refused: null })); // not quite there yet
      if (on && !state.get().on) await this.#standIn(source, before?.label ?? ""); // what stood in vanished meanwhile
    }
  }

  /** What was missing is plugged in. */
  async #found(source: Source): Promise<void> {
    const { problem } = this.sources[source].get();
    if (await this.#again(source, problem)) {
      this.onDevice({ kind: "device_found", source, device: this.sources[source].get().device?.label ?? "" });
    }
  }

  /** The source was asked for, so it starts now that it can. Until then its help stays. */
  async #again(source: Source, problem: DeviceProblem | null): Promise<boolean> {
    const state = this.sources[source];
    const start = this.#start(source, state.get().deviceId, true);
    state.update((now) => ({ ...now, problem }));
    try {
      if (!(await start)) return false;
    } catch {
      return false; // it says why by itself; the next change tries again
    }
    this.onStarted(source);
    return true;
  }
}
