// The own camera, microphone and screen, before and during a meeting. Mute acts here first and at
// once; telling the server is the meeting's part.

import { type Cell, cell } from "./cell";
import { capture, DeviceError, type DeviceProblem } from "./devices";
import type { Source } from "./messages";

export interface LocalSource {
  /** What the person asked for. */
  on: boolean;
  /** A muted microphone keeps its track (silenced) so that unmuting is instant. */
  track: MediaStreamTrack | null;
  deviceId: string | undefined;
  problem: DeviceProblem | null;
  starting: boolean;
}

const OFF: LocalSource = { on: false, track: null, deviceId: undefined, problem: null, starting: false };

export class LocalMedia {
  readonly sources: Record<Source, Cell<LocalSource>> = {
    mic: cell(OFF),
    camera: cell(OFF),
    screen: cell(OFF),
  };

  /** The track of a source changed; the meeting puts it on the wire. */
  onTrack: (source: Source, track: MediaStreamTrack | null) => void = () => {};
  /** A source ended by itself: unplugged, or "Stop sharing" of the browser. */
  onEnded: (source: Source) => void = () => {};

  /** Counts the wishes: a device that comes after another wish is stopped unused. */
  readonly #wishes: Record<Source, number> = { mic: 0, camera: 0, screen: 0 };
  readonly #starts: Partial<Record<Source, Promise<void>>> = {};

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
    if (now.starting) return this.#starts[source];
    if (now.on && now.track) return;
    if (now.track) {
      now.track.enabled = true;
      state.set({ ...now, on: true });
      return;
    }
    await this.#start(source, now.deviceId);
  }

  /** Uses another device from now on; starts it if the source is on. */
  async choose(source: Source, deviceId: string): Promise<void> {
    const state = this.sources[source];
    state.update((now) => ({ ...now, deviceId }));
    if (state.get().on) await this.#start(source, deviceId);
    else if (state.get().track) this.#drop(source);
  }

  /** Stops every device. */
  stop(): void {
    for (const source of ["mic", "camera", "screen"] as const) {
      this.#wishes[source] += 1;
      this.#drop(source);
      this.sources[source].update((now) => ({ ...now, on: false, starting: false }));
    }
  }

  #start(source: Source, deviceId: string | undefined): Promise<void> {
    const wish = (this.#wishes[source] += 1);
    this.sources[source].update((now) => ({ ...now, on: true, starting: true, problem: null }));
    return (this.#starts[source] = this.#fulfil(source, deviceId, () => wish === this.#wishes[source]));
  }

  async #fulfil(source: Source, deviceId: string | undefined, wanted: () => boolean): Promise<void> {
    const state = this.sources[source];
    try {
      const track = await this.#capture(source, deviceId);
      if (!wanted()) {
        track.stop();
        return;
      }
      state.get().track?.stop();
      track.addEventListener("ended", () => this.#vanished(source, track));
      state.update((now) => ({ ...now, track, starting: false }));
      this.onTrack(source, track);
    } catch (error) {
      if (!wanted()) return;
      this.#drop(source); // the device before, which would go on unseen
      const problem = error instanceof DeviceError ? error.problem : "failed";
      state.update((now) => ({ ...now, on: false, starting: false, problem }));
      throw error;
    }
  }

  async #capture(source: Source, deviceId: string | undefined): Promise<MediaStreamTrack> {
    try {
      return await capture(source, { deviceId });
    } catch (error) {
      const gone = error instanceof DeviceError && error.problem === "gone";
      if (!gone || !deviceId) throw error;
      return capture(source); // the chosen device is unplugged: the default takes over
    }
  }

  #off(source: Source): void {
    const state = this.sources[source];
    const { track, starting } = state.get();
    this.#wishes[source] += 1;
    if (source === "mic" && track && !starting) track.enabled = false;
    else this.#drop(source);
    state.update((now) => ({ ...now, on: false, starting: false, problem: null }));
  }

  #drop(source: Source): void {
    const state = this.sources[source];
    const { track } = state.get();
    if (!track) return;
    track.stop();
    state.update((now) => ({ ...now, track: null }));
    this.onTrack(source, null);
  }

  #vanished(source: Source, track: MediaStreamTrack): void {
    if (this.sources[source].get().track !== track) return;
    this.#drop(source);
    if (this.sources[source].get().starting) return; // another one is on its way
    if (source === "screen" || !this.sources[source].get().on) {
      this.sources[source].update((now) => ({ ...now, on: false }));
      this.onEnded(source);
      return;
    }
    // A camera or microphone was unplugged: the default takes over.
    this.#start(source, undefined).catch(() => this.onEnded(source));
  }
}
