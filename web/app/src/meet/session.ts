// What every part of the meeting page shares, made once in main.tsx.

import { createContext, useContext } from "react";
import { type Admission, cell, type Cell, DeviceError, type DeviceProblem, KINDS, type Meeting, RequestError, type Source } from "../../../sdk/src/index";
import { type MessageKey, t } from "../i18n/t";
import type { Announcer } from "./announcer";
import type { SettingsCell } from "./settings";
import { Toasts } from "./toasts";
import { inTheWay, keptText, problemText, refusedText, seatText } from "./words";

export type Panel = "people" | "chat" | null;

export class Session {
  readonly toasts = new Toasts();
  readonly panel: Cell<Panel> = cell<Panel>(null);
  readonly layout = cell<"grid" | "speaker">("grid");
  readonly pins = cell<readonly string[]>([]);
  readonly keysShown = cell(false);
  /** Whether anybody else has been in the meeting while this page was. */
  readonly met = cell(false);
  /** Messages that came while the chat was shut. */
  readonly unread = cell(0);

  constructor(readonly meeting: Meeting, readonly settings: SettingsCell, readonly announcer: Announcer) {
    meeting.count.subscribe(() => {
      if (meeting.count.get() > 1) this.met.set(true);
    });
  }

  /** Turns an own source on or off; what hinders it becomes a note. */
  readonly setSource = async (source: Source, on: boolean): Promise<void> => {
    if (source === "mic") this.settings.update((settings) => ({ ...settings, micOn: on }));
    if (source === "camera") this.settings.update((settings) => ({ ...settings, cameraOn: on }));
    const other = source === "screen" && on ? inTheWay(this.meeting.roster.get(), this.meeting.me.get()) : null;
    if (other) { // said before the browser asks what to share
      this.toasts.show({ kind: "right", text: t("refused.screenTaken", { name: other.name }) });
      return;
    }
    try {
      await this.meeting.setSource(source, on);
    } catch (error) {
      if (error instanceof DeviceError) this.#deviceFailed(source, error.problem);
      else if (error instanceof RequestError && error.code === "forbidden") this.toasts.show({ kind: "right", text: refusedText(this.meeting.roster.get(), source, error) });
      else this.failed(error);
    }
  };

  /** Sends a wish; a refusal becomes a note. Settles true when it was granted. */
  readonly wish = async (work: Promise<unknown>): Promise<boolean> => {
    try {
      await work;
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    }
  };

  /** Lets people in; that there is no seat for them is no failure, and told. */
  readonly admit = async (work: Promise<Admission>): Promise<void> => {
    if (!(await this.wish(work))) return;
    const { waiting_for_seat: seatless } = await work;
    const text = seatText(this.meeting.lobby.get().list.filter(({ participant }) => seatless.includes(participant)));
    if (!text) return;
    this.toasts.show({ kind: "full", text });
    this.announcer.polite("full", text);
  };

  handIsUp(): boolean {
    const me = this.meeting.me.get();
    return me !== null && this.meeting.hands.get().includes(me.id);
  }

  setHand(up: boolean): Promise<boolean> {
    return this.wish(this.meeting.request("hand.set", { up }));
  }

  /** Joins again under the kept name, with the devices that were on. */
  rejoin(): void {
    this.startRemembered();
    void this.meeting.join(this.settings.get().name || (this.meeting.me.get()?.name ?? ""));
  }

  /** Turns on what was on here the last time, on the devices that were chosen. */
  startRemembered(): void {
    const settings = this.settings.get();
    const { local, speaker } = this.meeting;
    const observes = this.meeting.info.get()?.link.role === "observer"; // who may not be seen nor heard inside
    const start = (source: "mic" | "camera", device: string, on: boolean) => {
      const state = local.sources[source];
      if (device && state.get().deviceId === undefined) local.prefer(source, device, settings[`${source}Name`]);
      if (on && !observes && !state.get().on) void this.setSource(source, true);
    };
    start("mic", settings.mic, settings.micOn);
    start("camera", settings.camera, settings.cameraOn);
    if (settings.speaker && !speaker.state.get().deviceId) {
      speaker.choose(settings.speaker, settings.speakerName).catch(() => {}); // the standard one plays
    }
  }

  failed(error: unknown): void {
    const code = error instanceof RequestError ? error.code : "";
    if (code === "closed" || code === "ended") return; // the page says so itself
    this.toasts.show({ kind: "failed", text: t(refusal(error)) });
  }

  /** Uses another device from now on, and remembers it; when it does not start, the one before. */
  async choose(source: "mic" | "camera", deviceId: string): Promise<void> {
    const { local } = this.meeting;
    const state = local.sources[source];
    this.#keep(source, deviceId);
    try {
      await local.choose(source, deviceId);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      this.#keep(source, state.get().deviceId ?? "");
      const kept = keptText(source, state.get(), local.devices); // the menu shows it, too
      if (kept) this.announcer.polite(`device-${source}`, kept);
      else this.#deviceFailed(source, error.problem);
    }
  }

  /** Plays on another output from now on, and remembers it; when it refuses, the one before. */
  async chooseSpeaker(deviceId: string): Promise<void> {
    const { speaker } = this.meeting;
    this.#keep("speaker", deviceId);
    try {
      await speaker.choose(deviceId);
    } catch {
      this.#keep("speaker", speaker.state.get().deviceId);
      this.announcer.polite("device-speaker", t("speaker.failed")); // the menu shows it, too
    }
  }

  #keep(kind: keyof typeof KINDS, deviceId: string): void {
    const name = deviceId && this.meeting.local.devices.nameOf(KINDS[kind], deviceId);
    this.settings.update((settings) => ({ ...settings, [kind]: deviceId, [`${kind}Name`]: name }));
  }

  /** A note that is said aloud, too. */
  tell(kind: string, text: string): void {
    this.toasts.show({ kind, text });
    this.announcer.polite(kind, text);
  }

  /** The page shows help for microphone and camera where their buttons are; a screen has none. */
  #deviceFailed(source: Source, problem: DeviceProblem): void {
    const text = problemText(source, problem, this.meeting.state.get());
    if (source === "screen") this.toasts.show({ kind: "device-screen", text });
    this.announcer.polite(`device-${source}`, text);
  }

  togglePanel(panel: Exclude<Panel, null>): void {
    this.panel.update((open) => (open === panel ? null : panel));
  }

  toggleLayout(): void {
    this.layout.update((layout) => (layout === "grid" ? "speaker" : "grid"));
  }

  togglePin(participant: string): void {
    this.pins.update((pins) => (pins.includes(participant) ? pins.filter((id) => id !== participant) : [...pins, participant]));
  }
}

/** What failed, in words. Who is late with a verdict hears what another host decided. */
function refusal(error: unknown): MessageKey {
  const { code, verdict } = error instanceof RequestError ? error.extras : { code: "", verdict: null };
  if (code === "forbidden") return "toast.forbidden";
  if (code === "rate") return "toast.rate";
  if (code !== "already_decided") return "toast.action";
  if (verdict === "admitted") return "toast.admitted";
  return verdict === "denied" || verdict === "banned" ? "toast.denied" : "toast.gone";
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("useSession outside of SessionContext");
  return session;
}
