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

    /** A turn; less where the door opens before, more when nobody answers, or only that we ask too often. */
    const next = () => {
      const seen = document.visibilityState === "visible";
      const usual = TURNS[state === "full" ? "full" : seen ? "seen" : "hidden"];
      const turn = Math.min(TURNS.hidden, usual * 2 ** Math.max(0, failures - 1));
      const spread = APART * Math.random();
      const left = opens - performance.now();
      const opensBefore = left > 0 && left + APART <= turn;
      return opensBefore ? Math.max(LEAST, left + spread) : turn - spread;
    };
    const wait = (ms: number) => {
      clearTimeout(timer);
      timer = window.setTimeout(() => void look(), ms);
    };
    const look = async () => {
      asked = performance.now();
      looking = true;
      await meeting.lookUp();
      looking = false;
      if (meeting.detail.get() !== detail || meeting.state.get() !== state) return; // answered: drawn anew
      failures += 1;
      if (!gone) wait(next());
    };
    const shown = () => {
      if (document.visibilityState === "visible" && !looking) wait(Math.max(0, asked + LEAST - performance.now()));
    };
    wait(next());
    document.addEventListener("visibilitychange", shown);
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [meeting, state, detail]);
}
