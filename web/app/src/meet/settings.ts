// What this browser remembers of this person: name, devices, what was on. Nothing of it is sent.

import { type Cell, cell } from "../../../sdk/src/index";

export interface Settings {
  name: string;
  micOn: boolean;
  cameraOn: boolean;
  mic: string;
  camera: string;
  speaker: string;
  /** What the devices are called: some browsers give them other ids at each visit. */
  micName: string;
  cameraName: string;
  speakerName: string;
  showSelf: boolean;
  theme: "dark" | "light";
  /** The room that let this browser in last: who was let in does not ask again. */
  admittedTo: string;
}

const KEY = "sunup.settings";
const FIRST: Settings = {
  name: "", micOn: false, cameraOn: false, mic: "", camera: "", speaker: "", micName: "", cameraName: "", speakerName: "", showSelf: true, theme: "dark", admittedTo: "",
};

export type SettingsCell = Cell<Settings>;

/** The kept settings; every change is kept. Fields of another version are dropped. */
export function openSettings(storage: Storage | null): SettingsCell {
  const settings = cell<Settings>({ ...FIRST, ...read(storage) });
  settings.subscribe(() => {
    try {
      storage?.setItem(KEY, JSON.stringify(settings.get()));
    } catch {
      // A full or blocked storage loses comfort, nothing else.
    }
  });
  return settings;
}

function read(storage: Storage | null): Partial<Settings> {
  try {
    const kept = JSON.parse(storage?.getItem(KEY) ?? "{}") as Record<string, unknown>;
    const known = Object.entries(FIRST).filter(([key, value]) => typeof kept[key] === typeof value);
    return Object.fromEntries(known.map(([key]) => [key, kept[key]])) as Partial<Settings>;
  } catch {
    return {};
  }
}
