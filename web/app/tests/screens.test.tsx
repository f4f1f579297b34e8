// @vitest-environment happy-dom
import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EMPTY_LOBBY, Meeting, type Waiter } from "../../sdk/src/index";
import { AdmitBanner } from "../src/meet/AdmitBanner";
import { Announcer } from "../src/meet/announcer";
import { PeoplePanel } from "../src/meet/PeoplePanel";
import { Session, SessionContext } from "../src/meet/session";
import { openSettings } from "../src/meet/settings";

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

const line = (id: string, from: string, text: string) => ({ id, from, waiter: from, name: "Bo", text, at: `2026-11-25T10:00:0${id}Z` });
const waiter = (participant: string, name: string): Waiter => ({ participant, name, since: "", verified: false, identity_kind: "guest", waits: "verdict" });

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
