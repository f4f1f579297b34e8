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
const onTile = () => document.activeElement?.closest(".tile")?.getAttribute("aria-label");
const press = (key: string, on: Element | null = document.activeElement) => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  on?.dispatchEvent(event);
  return event.defaultPrevented;
};
const walk = (...keys: string[]) => keys.map((key) => (press(key), focused()?.replace("Options for ", "")));
const sign = () => stage.element.querySelector<HTMLElement>(".stage-more");
const names = () => [...stage.element.querySelectorAll("[data-testid=tile]")].map((found) => found.getAttribute("aria-label"));
/** These others are in the meeting, their cameras off. */
const here = async (...ids: string[]) => {
  meeting.roster.set(others(...ids));
  await vi.advanceTimersByTimeAsync(100);
};
/** So are these, and "a" among them shares a screen, the camera on. */
const sharing = async (...ids: string[]) => {
  const people = others(...ids);
  const one = people.get("a");
  if (one) people.set("a", { ...one, tracks: { mic: true, camera: true, screen: true } });
  meeting.slotList.set([{ mid: "3", kind: "video" }, { mid: "4", kind: "screen" }]);
  meeting.slots.set(new Map([["3", shown(1)], ["4", { ...shown(1), slot: "4", kind: "screen", source: "screen" }]]));
  meeting.roster.set(people);
  await vi.advanceTimersByTimeAsync(100);
};
/** The stage is in its region, which can have the focus. */
const region = () => {
  const made = document.body.appendChild(document.createElement("section"));
  made.dataset["region"] = "stage";
  made.tabIndex = -1;
  made.append(stage.element);
  const { element } = stage;
  stage.close();
  stage = new Stage(element, meeting, stageTexts);
  return made;
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
  vi.restoreAllMocks();
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

  it("of a shared screen stays there when people come, and goes to the picture of who shared it", async () => {
    await sharing("a", "b");
    focus("B");
    press("Home");
    await sharing("a", "b", "c");
    expect(onTile()).toBe("A, screen");
    await here("a", "b", "c");
    expect(onTile()).toBe("A");
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

  it("counts those, too, of whom only the number is known", async () => {
    stage.layout = "speaker";
    meeting.count.set(100); // me among them
    await here("a", "b");
    expect(sign()?.textContent).toBe(`+${99 - names().length}`);
    meeting.count.set(50);
    await vi.advanceTimersByTimeAsync(100);
    expect(sign()?.textContent).toBe(`+${49 - names().length}`);
  });

  it("keeps who has the floor large while I speak, and is the next speaker's though I spoke just now", async () => {
    const around = region();
    const large = async (...speakers: string[]) => {
      await vi.advanceTimersByTimeAsync(3000);
      for (const id of speakers) meeting.speakers.set([id]);
      await vi.advanceTimersByTimeAsync(100);
      around.focus();
      return walk("Home")[0];
    };
    meeting.me.set({ ...ana, id: "me" });
    stage.layout = "speaker";
    await here("a", "b", "c");
    expect(await large("b")).toBe("B");
    expect(await large("me")).toBe("B");
    expect(await large("me", "c")).toBe("C");
  });

  it("gives the floor to who speaks on alone, once the one before has had it for two seconds", async () => {
    const around = region();
    stage.layout = "speaker";
    await here("a", "b", "c");
    const large = async (milliseconds: number) => {
      await vi.advanceTimersByTimeAsync(milliseconds);
      around.focus();
      return walk("Home")[0];
    };
    meeting.speakers.set(["b"]);
    expect(await large(1000)).toBe("B");
    meeting.speakers.set(["c"]);
    expect(await large(900)).toBe("B");
    expect(await large(200)).toBe("C");
    meeting.speakers.set(["a"]);
    await vi.advanceTimersByTimeAsync(500);
    meeting.speakers.set([]);
    expect(await large(5000)).toBe("C");
  });

  it("is no order for the grid: after a share people are in the places of those who came first, whoever spoke", async () => {
    await sharing(..."abcdefghijkl");
    meeting.speakers.set(["l"]);
    await vi.advanceTimersByTimeAsync(100);
    expect(names()).toContain("L");
    await here(..."abcdefghijkl");
    focus("L");
    expect(walk("Home", "End")).toEqual(["A", "L"]);
  });
});

describe("a hidden page", () => {
  it("has its tiles drawn, though it gets no animation frames", async () => {
    await vi.advanceTimersByTimeAsync(100);
    vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    vi.spyOn(globalThis, "requestAnimationFrame").mockReturnValue(0);
    await here("a", "b");
    expect(names()).toEqual(["A", "B"]);
  });
});

describe("a page that is hidden while a drawing is due", () => {
  it("is drawn all the same: the server hears that nobody looks", async () => {
    await vi.advanceTimersByTimeAsync(100);
    vi.spyOn(globalThis, "requestAnimationFrame").mockReturnValue(7); // never comes
    await here("a");
    expect(names()).toEqual(["Ana"]);
    vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    document.dispatchEvent(new Event("visibilitychange"));
    await here("a", "b");
    expect(names()).toEqual(["A", "B"]);
  });
});

describe("the keys of the stage", () => {
  it("lead from tile to tile as they lie, and nowhere from what lies over them", async () => {
    const around = region();
    const over = around.appendChild(document.createElement("button"));
    await here("a", "b", "c", "d");
    over.focus();
    expect([press("ArrowRight"), document.activeElement === over]).toEqual([false, true]);
    around.focus();
    expect(walk("ArrowDown", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp")).toEqual(["A", "B", "D", "C", "A"]);
    expect(press("ArrowUp")).toBe(false); // the page scrolls, where it can
    expect(walk("End", "Home")).toEqual(["D", "A"]);
  });

  it.each([["3", "4"], ["4", "3"]])("go by the pictures, too: a shared screen and its sharer are two tiles, made in any order", async (...slots) => {
    meeting.slotList.set(slots.map((mid) => ({ mid, kind: mid === "4" ? "screen" : "video" })));
    await here("b");
    await sharing("a", "b");
    focus("B");
    press("Home");
    expect(onTile()).toBe("A, screen");
    press("End");
    press("ArrowUp");
    expect(onTile()).toBe("A");
    press("ArrowLeft");
    expect(onTile()).toBe("A, screen");
  });

  it("turn the page and no further, and leave other modifiers alone", async () => {
    const around = region();
    const pages: number[] = [];
    stage.onInfo = ({ page }) => pages.push(page);
    await here(..."abcdefghijklmnopqrstuvwxyz0123");
    around.focus();
    for (const key of ["PageUp", "PageDown", "PageDown", "PageDown"]) {
      press(key);
      await vi.advanceTimersByTimeAsync(100);
    }
    const last = Math.max(...pages);
    expect(last).toBeGreaterThan(0);
    expect(pages.at(-1)).toBe(last);
    expect(new Set(pages)).toEqual(new Set(Array.from({ length: last + 1 }, (_, page) => page)));
    for (const modifier of ["ctrlKey", "altKey", "metaKey", "shiftKey"]) {
      const held = new KeyboardEvent("keydown", { key: "PageUp", [modifier]: true, bubbles: true, cancelable: true });
      around.dispatchEvent(held);
      expect([modifier, held.defaultPrevented]).toEqual([modifier, false]);
    }
  });

  it.each(["PageUp", "PageDown"])("draw nothing anew where there is no page to turn to: %s", async (key) => {
    const around = region();
    await here("a", "b", "c");
    meeting.hands.set(["c"]); // first on a page that is drawn anew
    await vi.advanceTimersByTimeAsync(100);
    around.focus();
    press(key);
    await vi.advanceTimersByTimeAsync(100);
    expect(walk("Home", "End")).toEqual(["A", "C"]);
  });

  it.each([
    ["PageDown", 0, 25],
    ["PageUp", 1, 6],
  ])("turn no page of the grid behind a share: %s", async (key, page, shown) => {
    const around = region();
    const everybody = "abcdefghijklmnopqrstuvwxyz0123";
    await here(...everybody);
    stage.turn(page);
    await sharing(...everybody);
    around.focus();
    press(key);
    await here(...everybody);
    expect(names()).toHaveLength(shown);
  });

  it("are nobody's when something on the stage had a use for them", async () => {
    region();
    await here("a", "b");
    focus("A");
    stage.element.addEventListener("keydown", (event) => event.preventDefault(), { once: true });
    expect(walk("ArrowDown")).toEqual(["A"]);
    expect(walk("ArrowDown")).toEqual(["B"]);
  });

  it("come to the sign of how many more there are, at last", async () => {
    stage.layout = "speaker";
    await here(..."bcdefghijklm");
    focus("B");
    press("End");
    expect(document.activeElement).toBe(sign());
    press("Home");
    expect(focused()).toBe("Options for B");
  });

  it("leave the focus on the first tile of the page that was turned to", async () => {
    await here(..."abcdefghijklmnopqrstuvwxyz0123");
    focus("C");
    press("PageDown");
    await vi.advanceTimersByTimeAsync(100);
    expect([names().length, focused()]).toEqual([5, "Options for Z"]);
  });

  it("do nothing once the stage is closed, and it draws no more", async () => {
    await here("a", "b");
    meeting.roster.set(others("a", "b", "c"));
    stage.close();
    await vi.advanceTimersByTimeAsync(100);
    expect(names()).toEqual([]);
    expect(press("PageDown", stage.element)).toBe(false);
  });
});
