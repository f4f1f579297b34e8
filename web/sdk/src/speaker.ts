// Where the sound comes out. The chosen output is a wish like a chosen microphone: while it is
// unplugged the standard one plays, and when it is back it is used again.

import { type Cell, cell } from "./cell";
import type { DeviceList } from "./deviceList";
import { KINDS } from "./devices";
import type { DeviceChange } from "./local";

export interface SpeakerState {
  /** The output that was chosen, plugged in or not; "" is the standard one. */
  deviceId: string;
  /** The output in use. */
  used: string;
  /** The last output that was chosen instead and refused, or null. */
  refused: string | null;
}

const STANDARD: SpeakerState = { deviceId: "", used: "", refused: null };

export class Speaker {
  readonly state: Cell<SpeakerState> = cell<SpeakerState>(STANDARD);
  onDevice: (change: DeviceChange) => void = () => {};

  readonly #devices: DeviceList;
  readonly #elements = new Set<HTMLMediaElement>();
  /** What is chosen again when another one refuses. */
  #granted: SpeakerState = STANDARD;
  #wishes = 0;
  /** Whether the chosen one was seen plugged in: only then can it be unplugged. */
  #seen = false;
  #told = false;
  /** What the chosen one is called. */
  #name = "";
  #unwatch: (() => void) | null = null;

  constructor(devices: DeviceList) {
    this.#devices = devices;
  }

  /** Plays on this output from now on; "" is the standard one. The last of several choices wins; @throws what the browser says, and the one before plays on. One of an earlier visit may have another id by now: give its `name`. */
  async choose(deviceId: string, name = this.#devices.nameOf(KINDS.speaker, deviceId)): Promise<void> {
    const before = this.#name;
    this.#name = name;
    const wish = (this.#wishes += 1);
    this.#seen = this.#told = false;
    const chosen = { deviceId, used: this.#devices.has(KINDS.speaker, deviceId) === false ? "" : deviceId, refused: null };
    this.state.set(chosen);
    this.#watch(deviceId !== "");
    try {
      await this.#apply(chosen.used);
      if (wish === this.#wishes) this.#granted = chosen;
    } catch (error) {
      if (wish !== this.#wishes) return;
      this.#name = before;
      this.state.set({ ...this.#granted, refused: deviceId });
      this.#watch(this.#granted.deviceId !== "");
      await this.#apply(this.#granted.used).catch(() => {});
      throw error;
    }
  }

  /** This element's sound comes out there, too, in place of another one's. */
  add(element: HTMLMediaElement, instead?: HTMLMediaElement): void {
    if (instead) this.#elements.delete(instead);
    this.#elements.add(element);
    const { used } = this.state.get();
    // While another one is being chosen, that choice says what becomes of it.
    if (used) element.setSinkId?.(used).catch(() => used === this.#granted.used && this.#fall());
  }

  /** Forgets the elements; the choice stays. */
  clear(): void {
    this.#elements.clear();
  }

  async #apply(sink: string): Promise<void> {
    await Promise.all([...this.#elements].map((element) => element.setSinkId?.(sink)));
  }

  /** The chosen one does not play: the standard one does. */
  #fall(): void {
    this.#granted = { ...this.state.get(), used: "" };
    this.state.set(this.#granted);
    this.#apply("").catch(() => {});
  }

  #watch(wanted: boolean): void {
    if (wanted) this.#unwatch ??= this.#devices.watch(() => void this.#look());
    else {
      this.#unwatch?.();
      this.#unwatch = null;
    }
  }

  async #look(): Promise<void> {
    const { deviceId: chosen, used } = this.state.get();
    const other = this.#devices.has(KINDS.speaker, chosen) === false ? this.#devices.idOf(KINDS.speaker, this.#name) : "";
    const deviceId = other || chosen;
    const there = this.#devices.has(KINDS.speaker, deviceId);
    const device = this.#devices.nameOf(KINDS.speaker, deviceId);
    if (there === false && used !== "") {
      this.#fall();
      if (!this.#seen) return; // it was not there from the start, or the browser does not tell of it yet
      this.#told = true;
      this.onDevice({ kind: "device_gone", source: "speaker", device, used: this.#devices.nameOf(KINDS.speaker, "") });
    } else if (there) {
      this.#seen = true;
      if (used === deviceId) return;
      const wish = this.#wishes;
      try {
        await this.#apply(deviceId);
      } catch {
        return;
      }
      if (wish !== this.#wishes) return;
      this.#granted = { deviceId, used: deviceId, refused: null };
      this.state.set(this.#granted);
      if (this.#told) this.onDevice({ kind: "device_back", source: "speaker", device });
      this.#told = false;
    }
  }
}
