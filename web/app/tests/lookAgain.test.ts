// When a card looks again whether its room is open by now.
import { describe, expect, it } from "vitest";
import { untilNext } from "../src/meet/lookAgain";

const card = { full: false, seen: true, failures: 0, opensIn: Infinity, lot: 0 };

describe("the next look", () => {
  it.each([
    ["a turn, as somebody reads it", {}, 15_000],
    ["a turn, less the lot of the page", { lot: 0.5 }, 13_500],
    ["later, as nobody does", { seen: false }, 60_000],
    ["a seat, somewhat later", { full: true }, 20_000],
    ["a seat, as soon when nobody reads it: it is theirs who ask", { full: true, seen: false }, 20_000],
    ["soon after the door opens", { opensIn: 5000, lot: 0.5 }, 6500],
    ["not at once, though it opens now", { opensIn: 10 }, 1000],
    ["a turn, as the door is open", { opensIn: -10 }, 15_000],
    ["a turn, as the door opens near its end", { opensIn: 12_001 }, 15_000],
    ["a turn, as one failure is none", { failures: 1 }, 15_000],
    ["twice as long after two", { failures: 2 }, 30_000],
    ["never longer than unseen", { failures: 9 }, 60_000],
    ["a seat likewise", { full: true, failures: 9 }, 60_000],
  ])("is %s", (_what, changes, ms) => {
    expect(untilNext({ ...card, ...changes })).toBe(ms);
  });
});
