// @vitest-environment happy-dom
import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EMPTY_LOBBY, type JoinAnswer, Meeting, type Role, type Waiter } from "../../sdk/src/index";
import { FakeDevices, noticed } from "../../sdk/tests/fakeDevices";
import { AdmitBanner } from "../src/meet/AdmitBanner";
import { Announcer } from "../src/meet/announcer";
import { DeviceChoice, DeviceHelp, SpeakerChoice } from "../src/meet/devices";
import { EndCard } from "../src/meet/EndCard";
import { PreJoin } from "../src/meet/PreJoin";
import { PeoplePanel } from "../src/meet/PeoplePanel";
import { Session, SessionContext } from "../src/meet/session";
import { openSettings } from "../src/meet/settings";
import { CameraButton, MuteButton } from "../src/meet/sourceButtons";
import { StageView } from "../src/meet/StageView";
import { WaitingRoom } from "../src/meet/WaitingRoom";

let root: Root;
let session: Session;
let meeting: Meeting;

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  meeting = new Meeting({ origin: "https://meet.test", code: "abc", secret: "s" }, { storage: null });
  session = new Session(meeting, openSettings(null), new Announcer(document.createElement("div"), document.createElement("div")));
  root = createRoot(document.body.appendChild(document.createElement("div")));
});
afterEach(() => {
  act(() => root.unmount());
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

/** Draws this part of the page. */
const draw = (part: ReactNode) => act(() => root.render(<SessionContext value={session}>{part}</SessionContext>));

/** The text of the element with this name, as it is read. */
const textOf = (name: string) => document.querySelector(`[aria-label="${name}"]`)?.textContent;

/** The buttons at the door, by name. */
const buttons = () => [...document.querySelectorAll("[aria-label=Waiting] button")].map((button) => button.getAttribute("aria-label") ?? button.textContent);

/** What the notes over the stage say. */
const notes = () => session.toasts.list.get().map(({ text }) => text);
const line = (id: string, from: string, text: string) => ({ id, from, waiter: from, name: "Bo", text, at: `2026-11-25T10:00:0${id}Z` });
const waiter = (participant: string, name: string): Waiter => ({ participant, name, since: "", verified: false, identity_kind: "guest", waits: "verdict" });
const seatless = (participant: string, name: string): Waiter => ({ ...waiter(participant, name), waits: "seat" });

describe("the page before the meeting", () => {
  it.each([["", "INPUT", ""], ["Jane Doe", "BUTTON", "Ask to join"]])("has the focus on the name or, where that is known, on the join button: %s", (name, element, text) => {
    meeting.info.set({ room: { title: "Roof", host_name: null, starts_at: null, ends_at: null }, link: { lobby: true, display_name: name } } as unknown as JoinAnswer);
    draw(<PreJoin />);
    expect([document.activeElement?.tagName, document.activeElement?.textContent]).toEqual([element, text]);
  });
});

describe("a line through the door", () => {
  const lobby = { ...EMPTY_LOBBY, list: [waiter("b", "Bo")], messages: [line("1", "b", "Hello"), line("2", "b", "I'm early"), line("3", "gone", "Bye")] };

  it("stands with who waits in the People panel, until they wait no longer", () => {
    meeting.lobby.set(lobby);
    draw(<PeoplePanel />);
    expect(textOf("Waiting")).toContain("Hello");
    expect(textOf("Waiting")).toContain("I'm early");
    expect(textOf("Waiting")).not.toContain("Bye");
    act(() => meeting.lobby.set({ ...lobby, list: [waiter("c", "Cy")] }));
    expect(textOf("Waiting")).not.toContain("Hello");
  });

  it("stands in the banner, the newest of them", () => {
    meeting.lobby.set(lobby);
    draw(<AdmitBanner />);
    expect(textOf("Waiting")).toContain("Bo: I'm early");
    expect(textOf("Waiting")).not.toContain("Bye");
  });
});

describe("a full room", () => {
  it.each([[1, "The room is full. You're first in line."], [3, "The room is full. You're number 3 in line."], [null, "The room is full."]])(
    "tells who waits for a seat at place %s so", (place, text) => {
      meeting.waiting.set({ place, message: null, hostPresent: true, begun: true, startsAt: null, moved: false, waits: "seat" });
      draw(<WaitingRoom />);
      expect(textOf("Your place")).toBe(text);
      expect(document.querySelector("h1")?.textContent).toBe("You're in the waiting room.");
    });

  it("is told to the host who admits, for those without a seat", async () => {
    meeting.lobby.set({ ...EMPTY_LOBBY, list: [waiter("b", "Bo"), waiter("c", "Cy")] });
    await session.admit(Promise.resolve({ admitted: ["b"], waiting_for_seat: [] }));
    expect(notes()).toEqual([]);
    await session.admit(Promise.resolve({ admitted: ["b"], waiting_for_seat: ["c"] }));
    expect(notes()).toEqual(["The room is full. Cy comes in when somebody leaves."]);
    await session.admit(Promise.resolve({ admitted: [], waiting_for_seat: ["b", "c"] }));
    expect(notes()).toEqual(["The room is full. 2 people come in when somebody leaves."]);
  });

  it("stands with who waits for a seat: there is nothing more to admit", () => {
    meeting.lobby.set({ ...EMPTY_LOBBY, list: [seatless("b", "Bo")] });
    draw(<PeoplePanel />);
    expect(textOf("Waiting")).toContain("Waits for a free seat");
    expect(buttons()).toEqual(["Deny Bo"]);
    draw(<AdmitBanner />);
    expect(textOf("Waiting")).toContain("The room is full. Bo comes in when somebody leaves.");
    expect(buttons()).toEqual(["Deny Bo"]);
    act(() => meeting.lobby.update((lobby) => ({ ...lobby, list: [seatless("b", "Bo"), seatless("c", "Cy")] })));
    expect(textOf("Waiting")).toContain("The room is full. 2 people come in when somebody leaves.");
    expect(buttons()).toEqual([]);
  });

  it("leaves the others to be admitted", () => {
    meeting.lobby.set({ ...EMPTY_LOBBY, list: [waiter("a", "Ann"), seatless("b", "Bo"), waiter("c", "Cy")] });
    draw(<PeoplePanel />);
    expect(buttons()).toEqual(["Admit all", "Admit Ann", "Deny Ann", "Deny Bo", "Admit Cy", "Deny Cy"]);
    draw(<AdmitBanner />);
    expect(buttons()).toEqual(["Admit Ann", "Admit Cy", "Admit all"]);
  });
});

describe("the waiting room without a host", () => {
  const info = { token: "t", expires_in: 60, ws: "", device: "", link: { role: "participant", lobby: true, display_name: null } } as const;
  const hour = 3_600_000;

  it.each([
    [false, hour, false, /^Ana hasn't joined yet. You keep your place. The meeting starts at .*\.$/],
    [false, hour, true, /^Ana hasn't joined yet. You keep your place. This appointment moved to .*\.$/],
    [false, -hour, false, /^Ana hasn't joined yet. You keep your place.$/],
    [false, null, false, /^Ana hasn't joined yet. You keep your place.$/],
    [true, -hour, false, /^Ana isn't here right now. You keep your place.$/],
  ])("says what is true of them: begun %s, start in %s ms, moved %s", (begun, start, moved, text) => {
    meeting.info.set({ ...info, room: { title: "Roof", type: "consultation", state: "live", starts_at: null, ends_at: null, host_name: "Ana" } });
    const startsAt = start === null ? null : new Date(Date.now() + start).toISOString();
    meeting.waiting.set({ place: 1, message: null, hostPresent: false, begun, startsAt, moved, waits: "verdict" });
    draw(<WaitingRoom />);
    expect(textOf("Your place")).toMatch(text);
  });
});

/** What can be chosen where the browser tells of these devices. */
async function choices(devices: object[]): Promise<string[]> {
  vi.stubGlobal("navigator", { mediaDevices: { enumerateDevices: async () => devices, addEventListener() {}, removeEventListener() {} } });
  await act(async () => root.render(<SessionContext value={session}><DeviceChoice source="mic" /></SessionContext>));
  return [...document.querySelectorAll("option")].map(({ textContent }) => textContent);
}

describe("a device that is missing", () => {
  it("is told with a way round it before the meeting, and without in it", () => {
    meeting.local.sources.mic.update((now) => ({ ...now, problem: "none" }));
    meeting.state.set("prejoin");
    draw(<DeviceHelp source="mic" />);
    expect(document.body.textContent).toBe("No microphone found. You can join without one.");
    act(() => meeting.state.set("live"));
    expect(document.body.textContent).toBe("No microphone found.");
  });

  it("is not called the standard one", async () => {
    expect(await choices([{ kind: "videoinput", deviceId: "", label: "" }])).toEqual(["None found"]);
  });

  it("is there before the browser tells its name", async () => {
    expect(await choices([{ kind: "audioinput", deviceId: "", label: "" }])).toEqual(["Standard device"]);
  });
});

/** The menu with this label. */
function menu(label: string): HTMLSelectElement {
  const named = [...document.querySelectorAll("label")].find(({ textContent }) => textContent === label);
  return document.getElementById(named?.htmlFor ?? "") as HTMLSelectElement;
}

function choose(label: string, value: string): Promise<void> {
  return act(async () => {
    menu(label).value = value;
    menu(label).dispatchEvent(new Event("change", { bubbles: true }));
    await noticed();
  });
}

describe("an observer", () => {
  const room = { title: "Roof", type: "training", state: "live", starts_at: null, ends_at: null, host_name: "Ana" } as const;
  const answer = (role: Role) => ({ token: "t", expires_in: 60, ws: "", device: "", link: { role, lobby: true, display_name: null }, room });

  it.each(["prejoin", "waiting"] as const)("is told before the meeting that it has no voice, and nothing starts: %s", async (state) => {
    const start = vi.spyOn(meeting, "setSource").mockResolvedValue();
    session.settings.update((kept) => ({ ...kept, micOn: true, cameraOn: true }));
    meeting.info.set(answer("observer"));
    meeting.state.set(state);
    session.startRemembered();
    draw(<><MuteButton /><CameraButton /></>);
    for (const button of document.querySelectorAll("button")) act(() => button.click());
    expect(notes()).toEqual(["Only presenters can show video here. Ask the host."]);
    expect(start).not.toHaveBeenCalled();
    act(() => meeting.info.set(answer("participant")));
    session.startRemembered();
    expect(start).toHaveBeenCalledTimes(2);
  });
});

describe("the device menu", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => {
    act(() => meeting.local.stop());
    vi.useRealTimers();
  });

  it("shows the device in use, also when another one was chosen and is unplugged, or does not start", async () => {
    const devices = new FakeDevices("mic A", "mic B", "spk A", "spk B");
    await act(async () => root.render(<SessionContext value={session}><DeviceChoice source="mic" /><SpeakerChoice /></SessionContext>));
    await act(async () => session.setSource("mic", true));
    await choose("Microphone", "mic B");
    await choose("Speaker", "spk B");
    expect([menu("Microphone").value, menu("Speaker").value]).toEqual(["mic B", "spk B"]);
    await act(async () => {
      for (const device of ["mic B", "spk B"]) devices.plugOut(device);
      await noticed();
    });
    expect([menu("Microphone").value, menu("Speaker").value]).toEqual(["mic A", ""]);
    await act(async () => {
      for (const device of ["mic B", "spk B", "mic C"]) devices.plugIn(device);
      await noticed();
    });
    expect([menu("Microphone").value, menu("Speaker").value]).toEqual(["mic B", "spk B"]);
    devices.refusals.set("mic C", "NotReadableError");
    await choose("Microphone", "mic C");
    expect(menu("Microphone").value).toBe("mic B");
    expect(document.getElementById(menu("Microphone").getAttribute("aria-describedby") ?? "")?.textContent)
      .toBe("Another program is using mic C. mic B stays in use.");
    expect(session.settings.get()).toMatchObject({ mic: "mic B", micName: "mic B", speaker: "spk B", speakerName: "spk B" });
    await choose("Microphone", "mic A");
    expect([menu("Microphone").value, menu("Microphone").getAttribute("aria-describedby")]).toEqual(["mic A", null]);
    await choose("Speaker", "");
  });
});

describe("the card of who was not let in", () => {
  it.each([
    [{}, "The host didn't let you in.", "Ask again"],
    [{ code: "closed" }, "The room is locked. Nobody new can come in.", "Try again"],
  ])("with %o says why, and how to go on", (detail, text, button) => {
    const rejoin = vi.spyOn(session, "rejoin").mockReturnValue();
    meeting.detail.set(detail);
    draw(<EndCard state="denied" />);
    expect(document.querySelector("h1")?.textContent).toBe(text);
    expect(document.querySelector("button")?.textContent).toBe(button);
    act(() => document.querySelector("button")?.click());
    expect(rejoin).toHaveBeenCalledOnce();
  });
});

const early = (opens_at: string, starts_at: string, retry_ms = 80_000_000) => {
  const room = { title: "Roof review", type: "consultation", state: "scheduled", starts_at, ends_at: null, host_name: "Ana Diaz" };
  return Response.json({ code: "early", opens_at, retry_ms, room }, { status: 403 });
};
const tomorrow = (hour: number, minute: number) => new Date(2026, 10, 30, hour, minute).toISOString();
const heading = () => document.querySelector("h1")?.textContent?.replaceAll("\u202f", " ");

/** A page that shows the card; the server says that the door opens in `left` ms, or what is put in `answer`. */
async function waitsAtTheDoor(left: number, seen = true) {
  vi.useFakeTimers();
  vi.stubGlobal("RTCPeerConnection", EventTarget);
  const server: { answer: () => Response | Promise<Response> } = { answer: () => early(tomorrow(2, 8), tomorrow(2, 23), left) };
  const look = vi.fn<() => Promise<Response>>(async () => server.answer());
  vi.stubGlobal("fetch", look);
  const visible = vi.spyOn(document, "visibilityState", "get").mockReturnValue(seen ? "visible" : "hidden");
  await meeting.lookUp();
  draw(<EndCard state="early" />);
  const after = async (ms: number) => {
    await act(() => vi.advanceTimersByTimeAsync(ms));
    return look.mock.calls.length - 1;
  };
  const show = (shown: boolean) => act(() => {
    visible.mockReturnValue(shown ? "visible" : "hidden");
    document.dispatchEvent(new Event("visibilitychange"));
  });
  return { server, after, show };
}
const open = () => Response.json({ token: "t", expires_in: 60, ws: "wss://meet.test/ws", device: "d", room: { title: "Roof review" }, link: { role: "participant" } });

describe("the card of who comes too early", () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it("says what it is, with whom, when it starts and when the door opens, and notices that it moved", async () => {
    vi.useFakeTimers({ now: new Date(2026, 10, 29, 3, 0) });
    vi.stubGlobal("RTCPeerConnection", EventTarget);
    const answers = [() => early(tomorrow(2, 8), tomorrow(2, 23)), () => early(tomorrow(9, 45), tomorrow(10, 0)), () => Response.json({ code: "rate" }, { status: 429 })];
    vi.stubGlobal("fetch", async () => (answers.shift() ?? (() => Promise.reject(new TypeError("no network"))))());
    await meeting.lookUp();
    draw(<EndCard state="early" />);
    expect(document.body.textContent).toContain("Roof review with Ana Diaz");
    expect(heading()).toBe("Starts Mon, Nov 30, 2:23 AM. You can come in from 2:08 AM.");
    await act(() => vi.advanceTimersByTimeAsync(15_000));
    expect(heading()).toBe("Starts Mon, Nov 30, 10:00 AM. You can come in from 9:45 AM.");
    await act(() => vi.advanceTimersByTimeAsync(30_000));
    expect([answers.length, meeting.state.get()]).toEqual([0, "early"]);
  });

  it.each([
    ["seen", 600_000, 0, 15_000], ["seen", 600_000, 0.5, 13_500], ["seen", 10_000, 0.5, 11_500], ["seen", 14_000, 0, 15_000],
    ["seen", 10, 0, 1000], ["hidden", 600_000, 0, 60_000], ["hidden", 600_000, 0.5, 58_500], ["hidden", 20_000, 0.5, 21_500],
  ])("looks again every quarter of a minute, hidden every minute, and soon after the door opens, not all at once: %s, %i ms before, %d", async (how, left, lot, at) => {
    vi.spyOn(Math, "random").mockReturnValue(lot);
    const { after } = await waitsAtTheDoor(left, how === "seen");
    expect(await after(at - 1)).toBe(0);
    expect(await after(1)).toBe(1);
  });

  it("goes when the host has come before the time, within a turn", async () => {
    const { server, after } = await waitsAtTheDoor(3_600_000);
    expect(await after(30_000)).toBeGreaterThanOrEqual(2);
    server.answer = open;
    await after(15_000);
    expect(meeting.state.get()).toBe("prejoin");
  });

  it("looks when somebody comes back to it, once, and not at every switch of tabs", async () => {
    const { after, show } = await waitsAtTheDoor(3_600_000, false);
    expect(await after(30_000)).toBe(0);
    show(true);
    expect(await after(0)).toBe(1);
    for (const shown of [false, true, false, true]) show(shown);
    expect(await after(900)).toBe(1);
    expect(await after(100)).toBe(2);
    expect(await after(11_000)).toBe(2);
    expect(await after(4000)).toBe(3);
  });

  it("asks one thing at a time, and nothing more once the card is gone", async () => {
    const { server, after, show } = await waitsAtTheDoor(3_600_000);
    const asked: ((response: Response) => void)[] = [];
    server.answer = () => new Promise((resolve) => asked.push(resolve));
    expect(await after(15_000)).toBe(1);
    show(true);
    expect(await after(5000)).toBe(1);
    draw(null);
    asked[0]?.(Response.json({ code: "rate" }, { status: 429 }));
    expect(await after(600_000)).toBe(1);
  });

  it("asks less often while it is told that it asks too often, and stops with the card", async () => {
    const { server, after } = await waitsAtTheDoor(3_600_000);
    server.answer = () => Response.json({ code: "rate" }, { status: 429 });
    const looks = await after(600_000);
    expect(looks).toBeGreaterThanOrEqual(11);
    expect(looks).toBeLessThanOrEqual(14);
    draw(null);
    expect(await after(600_000)).toBe(looks);
  });
});

describe("an empty stage", () => {
  const info = { pages: 1, page: 0, sharing: null };

  it("says nothing of others before the meeting has said who is there, then who was first, then who is left", () => {
    meeting.state.set("connecting");
    draw(<StageView info={info} onInfo={() => {}} />);
    expect(document.body.textContent).toBe("Joining");
    expect(document.querySelector("[aria-busy=true]")).not.toBeNull();
    act(() => {
      meeting.count.set(1);
      meeting.state.set("live");
    });
    expect(document.body.textContent).toBe("You're the first one here.");
    act(() => meeting.count.set(2));
    expect(document.body.textContent).toBe("");
    act(() => meeting.count.set(1));
    expect(document.body.textContent).toBe("You're the only one here.");
  });

  it("knows after coming back that others were here", () => {
    draw(<StageView info={info} onInfo={() => {}} />);
    act(() => {
      meeting.state.set("live");
      meeting.count.set(2);
    });
    act(() => meeting.state.set("connecting"));
    expect(document.body.textContent).toBe("Joining");
    act(() => {
      meeting.count.set(1);
      meeting.state.set("live");
    });
    expect(document.body.textContent).toBe("You're the only one here.");
  });
});
