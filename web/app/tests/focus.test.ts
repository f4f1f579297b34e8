// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keepFocus, walkRegions } from "../src/meet/focus";

let room: HTMLElement;
let stop: () => void;
const get = (id: string) => document.getElementById(id) as HTMLElement;
const focused = () => document.activeElement?.id;
/** Whatever vanishes with a press: the mutation is seen, and the focus settles. */
const settle = () => vi.advanceTimersByTimeAsync(60);

/** Where five steps lead. */
const round = (backwards: boolean) => {
  const stops = [];
  for (let step = 0; step < 5; step += 1) {
    walkRegions(room, backwards);
    stops.push(focused());
  }
  return stops;
};

beforeEach(() => {
  vi.useFakeTimers();
  document.body.innerHTML = `
    <main id="room">
      <section id="banner" data-region="waiting" data-focus-next="people"><button id="admit0" data-control="admit"></button></section>
      <section id="stage" data-region="stage" data-focus-home tabindex="-1">
        <div inert><button id="resting"></button></div>
        <button id="previous" data-control="page" disabled></button><button id="next" data-control="page"></button>
      </section>
      <section id="panel" data-region="panel">
        <h2 id="heading" data-focus-home tabindex="-1"></h2>
        <ul>
          <li id="row1"><button id="admit1" data-control="admit"></button><button id="deny1" data-control="deny"></button></li>
          <li id="row2"><button id="deny2" data-control="deny"></button></li>
          <li id="row3"><button id="admit3" data-control="admit"></button><button id="deny3" data-control="deny"></button></li>
        </ul>
      </section>
      <section id="toasts" data-region="toasts"><button id="close" data-control="close"></button></section>
      <div id="controls" data-region="controls"><button id="mute"></button><button id="people" data-control="people"></button></div>
    </main>`;
  room = get("room");
  stop = keepFocus(room);
});
afterEach(() => {
  stop();
  document.body.replaceChildren();
  vi.useRealTimers();
});

describe("what vanishes with the focus", () => {
  it.each([
    ["a row gives it to the same control of the next row that has it", "admit1", ["row1"], "admit3"],
    ["a row gives it to the same control of the next row", "deny1", ["row1"], "deny2"],
    ["the last row gives it to the one before", "deny3", ["row3"], "deny2"],
    ["the last of its kind gives it to the heading", "admit3", ["row1", "row3"], "heading"],
    ["the banner gives it to what follows it", "admit0", ["banner"], "people"],
    ["a note gives it back to where it was before", "close", ["toasts"], "mute"],
  ])("%s", async (_, from, gone, to) => {
    get("mute").focus();
    get(from).focus();
    for (const id of gone) get(id).remove();
    await settle();
    expect(focused()).toBe(to);
  });

  it("counts rows that came after the focus did", async () => {
    get("deny3").focus();
    get("row3").insertAdjacentHTML("afterend", "<li><button id='deny4' data-control='deny'></button></li>");
    await settle();
    get("row3").remove();
    await settle();
    expect(focused()).toBe("deny4");
  });

  it("may be a button that can't be pressed any more: its counterpart has the focus", async () => {
    get("next").focus();
    get("previous").removeAttribute("disabled");
    get("next").setAttribute("disabled", "");
    get("next").blur(); // as browsers do
    await settle();
    expect(focused()).toBe("previous");
  });

  it("may be a dialog over the room: what opened it has the focus, or what is nearest to that", async () => {
    for (const to of ["deny2", "deny3"]) {
      get("deny2")?.focus();
      document.body.insertAdjacentHTML("beforeend", "<div id='dialog' role='dialog'><button id='yes'></button></div>");
      get("yes").focus();
      if (to === "deny3") get("row2").remove();
      await settle();
      expect(focused()).toBe("yes");
      get("dialog").remove();
      await settle();
      expect(focused()).toBe(to);
    }
  });

  it("takes nothing with it after the room was left", async () => {
    get("deny2").focus();
    stop();
    get("row2").remove();
    await settle();
    expect(document.activeElement).toBe(document.body);
  });

  it("moves nothing while it has the focus no longer", async () => {
    get("deny2").focus();
    get("deny2").blur(); // a click on what can't have it
    get("row1").remove();
    await settle();
    expect(document.activeElement).toBe(document.body);
    get("people").focus();
    get("row2").remove();
    await settle();
    expect(focused()).toBe("people");
  });
});

describe("walking the regions", () => {
  it("goes round from the toolbar, either way, past what can't have the focus", () => {
    get("people").focus();
    expect(round(false)).toEqual(["admit0", "next", "heading", "close", "mute"]);
    expect(round(true)).toEqual(["close", "heading", "next", "admit0", "mute"]);
  });

  it("begins at the first from nowhere, backwards at the last, and skips an empty region", () => {
    get("admit0").remove();
    expect(round(false)[0]).toBe("next");
    (document.activeElement as HTMLElement).blur();
    expect(round(true)[0]).toBe("mute");
  });

  it("comes to an empty stage itself", () => {
    get("next").remove();
    get("admit0").focus();
    walkRegions(room, false);
    expect(focused()).toBe("stage");
  });

  it("passes by the stage of a small screen while a panel lies over it", () => {
    get("stage").getBoundingClientRect = () => new DOMRect(0, 100, 300, 500);
    const over = vi.spyOn(document, "elementFromPoint").mockImplementation((x, y) => (x === 150 && y === 350 ? get("heading") : null));
    get("admit0").focus();
    walkRegions(room, false);
    expect(focused()).toBe("heading");
    over.mockRestore();
  });

  it("comes out of a region that lies in another one, either way", () => {
    get("stage").insertAdjacentHTML("afterbegin", "<div data-region='pictures'><button id='picture'></button></div>");
    get("picture").focus();
    expect(round(false)).toEqual(["heading", "close", "mute", "admit0", "next"]);
    get("picture").focus();
    walkRegions(room, true);
    expect(focused()).toBe("next");
  });

  it("stays in what is open over the room", () => {
    document.body.insertAdjacentHTML("beforeend", "<div role='dialog'><button id='yes'></button></div>");
    get("yes").focus();
    walkRegions(room, false);
    expect(focused()).toBe("yes");
  });
});
