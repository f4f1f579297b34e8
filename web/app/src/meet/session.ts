// What every part of the meeting page shares, made once in main.tsx.

import { createContext, useContext } from "react";
import { cell, type Cell, DeviceError, type Meeting, RequestError, type Source } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import type { Announcer } from "./announcer";
import type { SettingsCell } from "./settings";
import { Toasts } from "./toasts";

export type Panel = "people" | "chat" | null;

export class Session {
  readonly toasts = new Toasts();
  readonly panel: Cell<Panel> = cell<Panel>(null);
  readonly layout = cell<"grid" | "speaker">("grid");
  readonly pins = cell<readonly string[]>([]);

  constructor(readonly meeting: Meeting, readonly settings: SettingsCell, readonly announcer: Announcer) {}

  /** Turns an own source on or off; what hinders it becomes a note. */
  async setSource(source: Source, on: boolean): Promise<void> {
    if (source === "mic") this.settings.update((settings) => ({ ...settings, micOn: on }));
    if (source === "camera") this.settings.update((settings) => ({ ...settings, cameraOn: on }));
    try {
      await this.meeting.setSource(source, on);
    } catch (error) {
      if (error instanceof DeviceError) this.toasts.show({ kind: `device-${source}`, text: t(`problem.${source}.${error.problem}`) });
      else if (error instanceof RequestError && error.code === "forbidden") this.toasts.show({ kind: "right", text: t(`refused.${source}`) });
      else this.failed(error);
    }
  }

  /** Sends a wish; a refusal becomes a note. Settles true when it was granted. */
  async wish(work: Promise<unknown>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  failed(error: unknown): void {
    if (error instanceof RequestError && error.code === "closed") return; // the page says so itself
    const forbidden = error instanceof RequestError && error.code === "forbidden";
    this.toasts.show({ kind: "failed", text: t(forbidden ? "toast.forbidden" : "toast.action") });
  }

  /** Uses another device from now on, and remembers it. */
  async choose(source: "mic" | "camera", deviceId: string): Promise<void> {
    this.settings.update((settings) => ({ ...settings, [source]: deviceId }));
    try {
      await this.meeting.local.choose(source, deviceId);
    } catch (error) {
      if (error instanceof DeviceError) this.toasts.show({ kind: `device-${source}`, text: t(`problem.${source}.${error.problem}`) });
      else throw error;
    }
  }

  togglePanel(panel: Exclude<Panel, null>): void {
    this.panel.update((open) => (open === panel ? null : panel));
  }

  togglePin(participant: string): void {
    this.pins.update((pins) => (pins.includes(participant) ? pins.filter((id) => id !== participant) : [...pins, participant]));
  }
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("useSession outside of SessionContext");
  return session;
}
