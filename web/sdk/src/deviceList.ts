// What is plugged in, read anew when that changes. It listens to the browser only while somebody
// listens to it. What happens to a source then is `local.ts`, to the sound `speaker.ts`.

import { cell, type Readable } from "./cell";

/** One plug makes several events, a dock a storm of them: in this many milliseconds one look. */
export const LOOK_EVERY = 300;
/** Chromium's name for whatever the system prefers at the time. */
const DEFAULT = "default";

type Entry = Pick<MediaDeviceInfo, "kind" | "deviceId" | "label" | "groupId">;

export class DeviceList implements Readable<readonly Entry[] | null> {
  readonly #list = cell<readonly Entry[] | null>(null);
  readonly #looks = new Set<() => void>();
  /** By id and never forgotten: what is unplugged has a name still. */
  readonly #names = new Map<string, string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reads = 0;
  #listeners = 0;

  /** All devices that the browser tells about; null before the first look. */
  get = (): readonly Entry[] | null => this.#list.get();

  /** Tells of every difference. */
  subscribe = (listener: () => void): (() => void) => {
    const stop = this.#list.subscribe(listener);
    const rest = this.#listen();
    return () => {
      stop();
      rest();
    };
  };

  /**
   * Tells of every look, with or without a difference: what was out and in again between two looks
   * has ended its tracks all the same.
   */
  watch(look: () => void): () => void {
    this.#looks.add(look);
    const rest = this.#listen();
    return () => {
      this.#looks.delete(look);
      rest();
    };
  }

  /** Looks now; a grant, too, changes what the browser tells. */
  async read(): Promise<void> {
    const media = navigator.mediaDevices as MediaDevices | undefined;
    const read = (this.#reads += 1);
    const found = await media?.enumerateDevices().catch(() => null);
    if (!found || read !== this.#reads) return; // a later look knows better
    for (const { kind, deviceId, label } of found) {
      if (deviceId && label) this.#names.set(`${kind}/${deviceId}`, label);
    }
    const before = this.#list.get();
    const same = before?.length === found.length && found.every((entry, index) => isSame(entry, before[index]));
    if (!same) this.#list.set(found);
    for (const look of this.#looks) look();
  }

  /** The devices of a kind whose ids the browser tells; none before a grant. */
  of(kind: MediaDeviceKind): readonly Entry[] {
    return (this.get() ?? []).filter((entry) => entry.kind === kind && entry.deviceId !== "");
  }

  /** Whether there is any of this kind, named or not. */
  any(kind: MediaDeviceKind): boolean {
    return (this.get() ?? []).some((entry) => entry.kind === kind);
  }

  /** Whether this very device is plugged in; undefined where the browser tells no ids. */
  has(kind: MediaDeviceKind, deviceId: string): boolean | undefined {
    if (this.of(kind).some((entry) => entry.deviceId === deviceId)) return true;
    return (this.get() ?? []).some((entry) => entry.deviceId !== "") ? false : undefined;
  }

  /** The id of the device that people call so; "" when there is none now. */
  idOf(kind: MediaDeviceKind, name: string): string {
    return (name && this.of(kind).find((entry) => entry.label === name && entry.deviceId !== DEFAULT)?.deviceId) || "";
  }

  /** What people call a device, also after it is gone; "" when the browser has not told. */
  nameOf(kind: MediaDeviceKind, deviceId: string): string {
    if (deviceId && deviceId !== DEFAULT) return this.#names.get(`${kind}/${deviceId}`) ?? "";
    // The standard one goes by the name of the device that it is at present.
    const standard = this.of(kind).find((entry) => entry.deviceId === DEFAULT);
    const itself = standard && this.of(kind).find(({ deviceId: id, groupId }) => id !== DEFAULT && groupId !== "" && groupId === standard.groupId);
    return (itself ?? standard)?.label ?? "";
  }

  /** Whether this is what a device is called: "Default - USB" is not, as the standard one is another tomorrow. */
  knows(name: string): boolean {
    return [...this.#names].some(([key, known]) => known === name && !key.endsWith(`/${DEFAULT}`));
  }

  #listen(): () => void {
    this.#listeners += 1;
    if (this.#listeners === 1) {
      (navigator.mediaDevices as MediaDevices | undefined)?.addEventListener("devicechange", this.#changed);
      void this.read();
    }
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#listeners -= 1;
      if (this.#listeners > 0) return;
      (navigator.mediaDevices as MediaDevices | undefined)?.removeEventListener("devicechange", this.#changed);
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  }

  readonly #changed = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.read();
    }, LOOK_EVERY);
  };
}

function isSame(one: Entry, other: Entry | undefined): boolean {
  return one.kind === other?.kind && one.deviceId === other.deviceId && one.label === other.label && one.groupId === other.groupId;
}
