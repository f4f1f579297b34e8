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

const others = (...ids: string[]) => new Map(ids.map((id, at) => [id, {
  ...ana, id, name: id.toUpperCase(), tracks: { ...ana.tracks, camera: false }, joined_at: `2026-11-25T10:00:${10 + at}Z`,
}]));

let meeting: Meeting;
let stage: Stage;
const tile = () => stage.element.querySelector<HTMLElement>("[data-testid=tile]");
const words = () => document.getElementById(tile()?.getAttribute("aria-describedby") ?? "")?.textContent;
const focused = () => document.activeElement?.getAttribute("aria-label");
const focus = (name: string) => stage.element.querySelector<HTMLElement>(`[aria-label="Options for ${name}"]`)?.focus();
const sign = () => stage.element.querySelector<HTMLElement>(".stage-more");
const names = () => [...stage.element.querySelectorAll("[data-testid=tile]")].map((found) => found.getAttribute("aria-label"));
/** These others are in the meeting, their cameras off. */
const here = async (...ids: string[]) => {
  meeting.roster.set(others(...ids));
  await vi.advanceTimersByTimeAsync(100);
};
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

describe("the focus on a tile", () => {
  it("goes to the next tile when its owner leaves, from the last to the one before, at last to the stage", async () => {
    const region = document.createElement("section");
    region.dataset["region"] = "stage";
    region.tabIndex = -1;
    region.append(stage.element);
    document.body.append(region);
    await here("b", "c", "d");
    focus("C");
    await here("c", "d");
    expect(focused()).toBe("Options for C");
    await here("d");
    expect(focused()).toBe("Options for D");
    await here("d", "e");
    focus("E");
    await here("d");
    expect(focused()).toBe("Options for D");
    await here();
    expect(document.activeElement).toBe(region);
  });

  it("stays with the person whose camera goes on or off, and whose slot shows somebody else", async () => {
    meeting.slotList.set([{ mid: "3", kind: "video" }]);
    await here("a", "b");
    focus("A");
    const filmed = (id: string) => {
      const people = others("a", "b");
      const one = people.get(id);
      if (one) people.set(id, { ...one, tracks: { ...one.tracks, camera: true } });
      meeting.roster.set(people);
      meeting.slots.set(new Map([["3", { ...shown(1), who: id }]]));
      return vi.advanceTimersByTimeAsync(100);
    };
    await filmed("a");
    expect(focused()).toBe("Options for A");
    await filmed("b");
    expect(focused()).toBe("Options for A");
    await here("a", "b");
    expect(focused()).toBe("Options for A");
  });

  it("is not taken from elsewhere, nor from nowhere, by who leaves", async () => {
    const field = document.body.appendChild(document.createElement("input"));
    await here("b", "c");
    focus("B");
    field.focus();
    await here("c");
    expect(document.activeElement).toBe(field);
    field.blur();
    await here();
    expect(document.activeElement).toBe(document.body);
  });
});

describe("the strip", () => {
  it("says how many are not in it, has who speaks in it, and asks for no more pictures than it shows", async () => {
    const grow = vi.spyOn(meeting, "grow");
    stage.layout = "speaker";
    meeting.roster.set(others(..."bcdefghijklm"));
    await vi.advanceTimersByTimeAsync(100);
    const tiles = names().length;
    expect([sign()?.hidden, sign()?.textContent, sign()?.getAttribute("aria-label")]).toEqual([false, `+${12 - tiles}`, `+${12 - tiles} more people`]);
    expect(names()).not.toContain("M");
    meeting.speakers.set(["m"]);
    await vi.advanceTimersByTimeAsync(100);
    expect(names()).toContain("M");
    expect(grow).not.toHaveBeenCalled();
    const asked = vi.fn<() => void>();
    stage.onMore = asked;
    sign()?.click();
    expect(asked).toHaveBeenCalledOnce();
    stage.layout = "grid";
    await vi.advanceTimersByTimeAsync(100);
    expect([names().length, sign()?.hidden]).toEqual([12, true]);
  });
});
