import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Toasts } from "../src/meet/toasts";

let toasts: Toasts;
const texts = () => toasts.list.get().map(({ text }) => text);

beforeEach(() => {
  vi.useFakeTimers();
  toasts = new Toasts();
});
afterEach(() => vi.useRealTimers());

describe("toasts", () => {
  it("are three at most, the newest", () => {
    for (const kind of ["a", "b", "c", "d"]) toasts.show({ kind, text: kind });
    expect(texts()).toEqual(["b", "c", "d"]);
  });

  it("of one kind replace each other", () => {
    toasts.show({ kind: "a", text: "old" });
    toasts.show({ kind: "a", text: "new" });
    expect(texts()).toEqual(["new"]);
  });

  it("go after six seconds", () => {
    toasts.show({ kind: "a", text: "a" });
    vi.advanceTimersByTime(5999);
    expect(texts()).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    expect(texts()).toEqual([]);
  });

  it("stay while they are held, and get their six seconds afterwards", () => {
    toasts.show({ kind: "a", text: "a" });
    toasts.hold(true);
    vi.advanceTimersByTime(60_000);
    toasts.hold(false);
    vi.advanceTimersByTime(5999);
    expect(texts()).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    expect(texts()).toEqual([]);
  });

  it("go all at once, and the next ones are held by nobody", () => {
    for (const kind of ["a", "b"]) toasts.show({ kind, text: kind });
    toasts.hold(true);
    toasts.clear();
    expect(texts()).toEqual([]);
    toasts.show({ kind: "c", text: "c" });
    vi.advanceTimersByTime(6000);
    expect(texts()).toEqual([]);
  });
});
