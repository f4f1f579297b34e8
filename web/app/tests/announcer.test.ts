// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Announcer } from "../src/meet/announcer";

let said: string[];
let announcer: Announcer;
let assertive: HTMLElement;

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  const polite = document.createElement("div");
  assertive = document.createElement("div");
  Object.defineProperty(polite, "textContent", { get: () => said.at(-1) ?? "", set: (text: string) => { if (text) said.push(text); } });
  announcer = new Announcer(polite, assertive);
});
afterEach(() => vi.useRealTimers());

const joined = { window: 10_000, many: (count: number) => `${count} people joined` };

describe("the polite queue", () => {
  it("says one sentence per 1.5 s", async () => {
    announcer.polite("a", "first");
    announcer.polite("b", "second");
    expect(said).toEqual(["first"]);
    await vi.advanceTimersByTimeAsync(1500);
    expect(said).toEqual(["first", "second"]);
  });

  it("keeps the three newest waiting, one of a kind", async () => {
    announcer.polite("now", "now");
    for (const kind of ["a", "b", "c", "d", "d"]) announcer.polite(kind, kind);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(said).toEqual(["now", "b", "c", "d"]);
  });

  it("makes at most two sentences of fifty joins in ten seconds", async () => {
    for (let person = 1; person <= 50; person += 1) {
      announcer.polite("joined", `person ${person} joined`, joined);
      await vi.advanceTimersByTimeAsync(190);
    }
    await vi.advanceTimersByTimeAsync(15_000);
    expect(said).toEqual(["person 1 joined", "49 people joined"]);
  });

  it("says a lone second one by its name", async () => {
    announcer.polite("joined", "Ana joined", joined);
    announcer.polite("joined", "Bo joined", joined);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(said).toEqual(["Ana joined", "Bo joined"]);
  });
});

describe("nothing to say", () => {
  it("keeps nobody else waiting, and takes nothing back", async () => {
    announcer.polite("a", "");
    announcer.polite("b", "first");
    expect(said).toEqual(["first"]);
    announcer.polite("c", "second");
    announcer.polite("c", "");
    await vi.advanceTimersByTimeAsync(1500);
    expect(said).toEqual(["first", "second"]);
  });
});

describe("the assertive region", () => {
  it("speaks at once, and again when the same happens again", () => {
    announcer.assertive("Ana muted you.");
    expect(assertive.textContent).toBe("Ana muted you.");
    announcer.assertive("Ana muted you.");
    expect(assertive.textContent).toBe("Ana muted you.\u00A0");
    vi.advanceTimersByTime(1000);
    expect(assertive.textContent).toBe("");
  });
});
