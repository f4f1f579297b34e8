// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Meeting, type Participant, type Shown } from "../../sdk/src/index";
import { stageTexts } from "../src/meet/words";
import { Stage } from "../src/media/stage";

const ana: Participant = {
  id: "a", identity_kind: "guest", name: "Ana", role: "participant", state: "active", verified: false,
  tracks: { mic: true, camera: true, screen: false }, track_ids: {}, hand: null, joined_at: null, rev: 1,
};
const shown = (frames: number): Shown => ({ slot: "3", kind: "video", who: "a", source: "camera", frames, width: 640, height: 360 });

let meeting: Meeting;
let stage: Stage;
const tile = () => stage.element.querySelector<HTMLElement>("[data-testid=tile]");
const words = () => document.getElementById(tile()?.getAttribute("aria-describedby") ?? "")?.textContent;
const become = (change: Partial<Participant>) => meeting.roster.set(new Map([["a", { ...ana, ...change }]]));

beforeEach(() => {
  vi.useFakeTimers();
  meeting = new Meeting({ origin: "https://meet.test", code: "abc", secret: "s" }, { storage: null });
  const element = document.body.appendChild(document.createElement("div"));
  element.getBoundingClientRect = () => new DOMRect(0, 0, 640, 480);
  become({});
  stage = new Stage(element, meeting, stageTexts);
});
afterEach(() => {
  stage.close();
  document.body.replaceChildren();
  vi.useRealTimers();
});

describe("the tile of somebody whose connection is lost", () => {
  it("is frozen once the picture has stopped, says so, and is live again on return", async () => {
    meeting.slotList.set([{ mid: "3", kind: "video" }]);
    meeting.slots.set(new Map([["3", shown(1)]]));
    meeting.onFrame(shown(1));
    await vi.advanceTimersByTimeAsync(100);
    expect(tile()?.dataset["state"]).toBe("live");
    become({ state: "reconnecting" });
    await vi.advanceTimersByTimeAsync(100);
    expect([tile()?.dataset["state"], words()]).toEqual(["live", "reconnecting"]); // it moves yet
    await vi.advanceTimersByTimeAsync(3000);
    expect(tile()?.dataset["state"]).toBe("frozen");
    become({});
    meeting.onFrame(shown(2));
    await vi.advanceTimersByTimeAsync(600);
    expect([tile()?.dataset["state"], words()]).toEqual(["live", ""]);
  });

  it("is frozen without a picture, too", async () => {
    become({ state: "reconnecting", tracks: { mic: false, camera: false, screen: false } });
    await vi.advanceTimersByTimeAsync(100);
    expect([tile()?.dataset["state"], words()]).toEqual(["frozen", "reconnecting, muted, camera off"]);
  });
});
