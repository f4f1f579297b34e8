// Keys of the meeting, one table. Letters alone do nothing; keys in text fields, with AltGr or with
// other modifiers are somebody else's.

import { type RefObject, useEffect } from "react";
import type { MessageKey } from "../i18n/t";
import { walkRegions } from "./focus";
import type { Session } from "./session";

interface Shortcut {
  /** `ctrl`: Ctrl or Cmd; `both`: Ctrl+Alt, or Ctrl+Cmd on a Mac. */
  with: "ctrl" | "both";
  key: string;
  text: MessageKey;
  run(session: Session): void;
}

const MAC = /Mac/.test(navigator.userAgent);

function flip(session: Session, source: "mic" | "camera" | "screen"): void {
  void session.setSource(source, !session.meeting.local.sources[source].get().on);
}

export const SHORTCUTS: readonly Shortcut[] = [
  { with: "ctrl", key: "d", text: "keys.mic", run: (session) => flip(session, "mic") },
  { with: "ctrl", key: "e", text: "keys.camera", run: (session) => flip(session, "camera") },
  { with: "both", key: "h", text: "keys.hand", run: (session) => void session.setHand(!session.handIsUp()) },
  { with: "both", key: "s", text: "keys.share", run: (session) => flip(session, "screen") },
  { with: "both", key: "p", text: "keys.people", run: (session) => session.togglePanel("people") },
  { with: "both", key: "c", text: "keys.chat", run: (session) => session.togglePanel("chat") },
  { with: "both", key: "g", text: "keys.layout", run: (session) => session.toggleLayout() },
  {
    with: "both",
    key: "a",
    text: "keys.admit",
    run: ({ meeting, admit }) => {
      const first = meeting.lobby.get().list[0];
      if (first) void admit(meeting.admit(first.participant));
    },
  },
  { with: "ctrl", key: "/", text: "keys.list", run: (session) => session.keysShown.set(true) },
];

/** How a shortcut is written on this machine. */
export function written({ with: modifiers, key }: Shortcut): string {
  const names = modifiers === "ctrl" ? [MAC ? "Cmd" : "Ctrl"] : ["Ctrl", MAC ? "Cmd" : "Alt"];
  return [...names, key.toUpperCase()].join("+");
}

function pressed(event: KeyboardEvent): Shortcut | undefined {
  if (event.shiftKey || event.getModifierState("AltGraph")) return undefined;
  const ctrl = MAC ? event.metaKey && !event.ctrlKey && !event.altKey : event.ctrlKey && !event.altKey && !event.metaKey;
  const both = MAC ? event.ctrlKey && event.metaKey && !event.altKey : event.ctrlKey && event.altKey && !event.metaKey;
  const modifiers = ctrl ? "ctrl" : both ? "both" : null;
  // With Alt held, `key` may be another letter: the place on the keyboard counts, too.
  return SHORTCUTS.find((shortcut) =>
    shortcut.with === modifiers && (event.key.toLowerCase() === shortcut.key || event.code === `Key${shortcut.key.toUpperCase()}`));
}

function inText(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}

export function useKeys(session: Session, room: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "F6") {
        event.preventDefault();
        if (room.current) walkRegions(room.current, event.shiftKey);
        return;
      }
      const shortcut = pressed(event);
      if (!shortcut || event.repeat || (inText(event.target) && shortcut.with !== "both")) return;
      event.preventDefault();
      shortcut.run(session);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [session, room]);
}
