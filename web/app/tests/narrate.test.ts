// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EMPTY_LOBBY, Meeting, type Participant, RequestError, type Waiter } from "../../sdk/src/index";
import { Announcer } from "../src/meet/announcer";
import { narrate } from "../src/meet/narrate";
import { Session } from "../src/meet/session";
import { openSettings } from "../src/meet/settings";

let said: string[];
let meeting: Meeting;
let session: Session;

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  meeting = new Meeting({ origin: "https://meet.test", code: "abc", secret: "s" }, { storage: null });
  const polite = document.createElement("div");
  Object.defineProperty(polite, "textContent", { get: () => said.at(-1) ?? "", set: (text: string) => { if (text) said.push(text.trim()); } });
  session = new Session(meeting, openSettings(null), new Announcer(polite, document.createElement("div")));
  narrate(session);
});
afterEach(() => vi.useRealTimers());

const notes = () => session.toasts.list.get().map(({ text }) => text);
const waiter = (participant: string, name: string): Waiter => ({ participant, name, since: "", verified: false, identity_kind: "guest", waits: "verdict" });
const wait = (...list: Waiter[]) => meeting.lobby.update((lobby) => ({ ...lobby, list }));

/** Three people, of whom these share their screens. */
const roster = (...sharing: string[]) => meeting.roster.set(new Map(["me", "ana", "jane"].map((id) => [
  id, { id, name: id, tracks: { mic: false, camera: false, screen: sharing.includes(id) } } as Participant,
])));

describe("who waits", () => {
  it("is said by name when one comes twice, as after a restart of the server", async () => {
    const bo = waiter("b", "Bo");
    wait(bo);
    for (const list of [[], [bo], [], [bo]]) wait(...list);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(said).toEqual(["Bo is waiting", "Bo is waiting"]);
  });

  it.each([
    [["Cy"], "Bo and Cy are waiting"],
    [["Cy", "Di"], "3 people are waiting"],
  ])("is said together: Bo and %o", async (names, text) => {
    const others = names.map((name) => waiter(name, name));
    wait(waiter("b", "Bo"));
    wait(waiter("b", "Bo"), ...others);
    wait();
    wait(waiter("b", "Bo"), ...others);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(said).toEqual(["Bo is waiting", text]);
  });

  it("is not said of nobody", async () => {
    wait(waiter("b", "Bo"), waiter("c", "Cy"), waiter("d", "Di"));
    meeting.lobby.set(EMPTY_LOBBY);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(said).toEqual(["Bo is waiting"]);
  });
});

describe("a screen that is shared", () => {
  it("is said with its owner, and its end when nobody took over", async () => {
    roster();
    meeting.me.set({ id: "me" } as Participant);
    meeting.state.set("live");
    await vi.advanceTimersByTimeAsync(20_000);
    said = [];
    for (const sharing of [["jane"], ["jane", "ana"], ["ana"], ["me"], []]) {
      roster(...sharing);
      await vi.advanceTimersByTimeAsync(20_000);
    }
    expect(said).toEqual(["jane is sharing the screen", "ana is sharing the screen"]);
    roster("jane");
    await vi.advanceTimersByTimeAsync(20_000);
    roster();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(said.slice(2)).toEqual(["jane is sharing the screen", "Screen sharing ended"]);
  });
});

describe("notes over the stage", () => {
  it("tell which device went and came, and which one is used; and nothing after the meeting", async () => {
    meeting.state.set("prejoin");
    const gone = { kind: "device_gone", source: "mic", device: "USB", used: "Built-in" } as const;
    meeting.onNotice(gone);
    expect(notes()).toEqual(["USB isn't plugged in. Built-in is used now."]);
    meeting.onNotice({ ...gone, device: "", used: null });
    expect(notes()).toEqual(["Your microphone isn't plugged in. It is off now."]);
    meeting.onNotice({ kind: "device_back", source: "mic", device: "USB" });
    expect(notes()).toEqual(["USB is back and used again."]);
    meeting.onNotice({ kind: "device_found", source: "camera", device: "HD" });
    expect(notes()).toEqual(["USB is back and used again.", "HD was plugged in. Your camera is on."]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(said).toEqual(["USB isn't plugged in. Built-in is used now.", "USB is back and used again.", "HD was plugged in. Your camera is on."]);
    meeting.state.set("left");
    meeting.onNotice(gone);
    expect(notes()).toEqual([]);
  });

  it.each([
    ["admitted", "They were already let in."],
    ["denied", "They were already turned away."],
    ["left", "They aren't waiting any more."],
  ])("tell a host who was late what was decided: %s", async (verdict, text) => {
    await session.wish(Promise.reject(new RequestError({ code: "already_decided", verdict })));
    expect(notes()).toEqual([text]);
  });

  it.each([
    ["rate", "That was a bit fast. Try again in a moment."],
    ["forbidden", "You can't do that here."],
    ["internal", "That didn't work. Try again."],
  ])("say what hinders: %s", async (code, text) => {
    await session.wish(Promise.reject(new RequestError({ code })));
    expect(notes()).toEqual([text]);
  });

  it.each(["ended", "left", "removed", "offline"] as const)("don't outlive the meeting: %s", async (state) => {
    meeting.state.set("live");
    session.toasts.show({ kind: "a", text: "a" });
    meeting.state.set(state);
    expect(notes()).toEqual([]);
    await session.wish(Promise.reject(new RequestError({ code: "ended" }))); // a reply that was on its way
    expect(notes()).toEqual([]);
  });
});
