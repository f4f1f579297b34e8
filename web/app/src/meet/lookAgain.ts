// Asks about a room again and again while a card says that it is not open yet, or full. Its host may
// come before the time and open it, or move it; somebody may leave.

import { useEffect } from "react";
import type { PageState } from "../../../sdk/src/index";
import { useCell } from "../ui/useCell";
import { useSession } from "./session";

/** Milliseconds between two looks at most: somebody reads the card, or nobody does, or the room is full. */
const TURNS = { seen: 15_000, hidden: 60_000, full: 20_000 };
const LEAST = 1000;
/** So far apart are those who wait for the same door: they do not knock at the same moment. */
const APART = 3000;

/**
 * Milliseconds until the next look: a turn; less where the door opens before, more when nobody answered, or only
 * that we ask too often. `opensIn` are those until the door opens, and `lot`, from 0 to 1, is this page's own.
 */
export function untilNext(card: { full: boolean; seen: boolean; failures: number; opensIn: number; lot: number }): number {
  const usual = TURNS[card.full ? "full" : card.seen ? "seen" : "hidden"];
  const turn = Math.min(TURNS.hidden, usual * 2 ** Math.max(0, card.failures - 1));
  const spread = APART * card.lot;
  const opensBefore = card.opensIn > 0 && card.opensIn + APART <= turn;
  return opensBefore ? Math.max(LEAST, card.opensIn + spread) : turn - spread;
}

export function useLookAgain(state: PageState): void {
  const { meeting } = useSession();
  const detail = useCell(meeting.detail);
  useEffect(() => {
    if (state !== "early" && state !== "full") return undefined;
    let asked = performance.now();
    const opens = asked + Number(state === "early" ? detail["retry_ms"] ?? Infinity : Infinity);
    let looking = false;
    let failures = 0;
    let timer = 0;
    let gone = false;

    const isSeen = () => document.visibilityState === "visible";
    const wait = (ms: number) => {
      clearTimeout(timer);
      timer = window.setTimeout(() => void look(), ms);
    };
    const waitForNext = () => {
      const opensIn = opens - performance.now();
      wait(untilNext({ full: state === "full", seen: isSeen(), failures, opensIn, lot: Math.random() }));
    };
    const look = async () => {
      asked = performance.now();
      looking = true;
      await meeting.lookUp();
      looking = false;
      if (meeting.detail.get() !== detail || meeting.state.get() !== state) return; // answered: drawn anew
      failures += 1;
      if (!gone) waitForNext();
    };
    const shown = () => {
      if (isSeen() && !looking) wait(Math.max(0, asked + LEAST - performance.now()));
    };
    waitForNext();
    document.addEventListener("visibilitychange", shown);
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [meeting, state, detail]);
}
