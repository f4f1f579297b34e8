// The stage: which tiles are where. One tile a video slot, made once and re-labelled when the slot
// gets another owner; a tile without picture for everybody on the page whose camera is off. Sizes go
// to the server, which fills the slots accordingly. Who is shown where is `scene.ts`.

import { type Meeting, type Participant, type Shown, VIDEO_SLOTS } from "../../../sdk/src/index";
import { Demand } from "./demand";
import type { Box, Overlays } from "./layout";
import { inGrid, type Scene, type SceneInput, SCREEN, withStrip } from "./scene";
import { place, Tile } from "./tile";
import { boxFor } from "./tileKeys";

export type Layout = "grid" | "speaker";

/** What the page shows of the stage's paging, and who shares. */
export interface StageInfo {
  pages: number;
  page: number;
  sharing: string | null;
}

export interface StageTexts {
  screenOf(name: string): string;
  frozen: string;
  options(name: string): string;
  /** The name of the sign that says how many are not shown: it begins with what stands on it. */
  more(count: number): string;
  words(participant: Participant, hand: number): string;
  /** Whether the name carries the mark of staff. */
  marked(participant: Participant): boolean;
}

/** A picture that stands still this long while media or its owner is lost is shown as frozen. */
const FROZEN_AFTER = 2000;
/** Somebody holds the floor for this long before the speaker view changes. */
const HOLD_FLOOR = 2000;

/** What the keys lead to, and where it is. */
interface Stop {
  target: Tile | HTMLElement;
  box: Box;
}

interface Screen {
  slot: string;
  participant: Participant;
}

export class Stage {
  readonly element: HTMLElement;
  onInfo: (info: StageInfo) => void = () => {};
  /** Somebody asked for the menu of a tile. */
  onMenu: (participant: string, button: HTMLElement) => void = () => {};
  /** Somebody asked for those who are not shown. */
  onMore: () => void = () => {};

  readonly #meeting: Meeting;
  readonly #texts: StageTexts;
  readonly #demand: Demand;
  readonly #slotTiles = new Map<string, Tile>();
  readonly #avatars = new Map<string, Tile>();
  readonly #more = moreSign();
  readonly #overlays: HTMLElement | null;
  readonly #stop: (() => void)[] = [];
  #layout: Layout = "grid";
  #pins: readonly string[] = [];
  #page = 0;
  #places: readonly string[] = [];
  /** Whether there is one large tile and a strip. */
  #strip = false;
  /** Whose tiles are on the stage, in the order in which they are seen. */
  #seen: readonly string[] = [];
  /** What was drawn last. */
  #scene: Scene | null = null;
  #columns: number | undefined;
  #dominant: string | null = null;
  #dominantSince = -HOLD_FLOOR;
  #floorTimer: ReturnType<typeof setTimeout> | undefined;
  /** Takes back the drawing that is due. */
  #undraw: (() => void) | null = null;
  #closed = false;

  /** What is in `overlays` lies over the stage: names and menus of tiles keep from under it. */
  constructor(element: HTMLElement, meeting: Meeting, texts: StageTexts, overlays: HTMLElement | null = null) {
    this.element = element;
    this.#overlays = overlays;
    this.#meeting = meeting;
    this.#texts = texts;
    this.#demand = new Demand(meeting);
    const later = () => this.#schedule();
    for (const cell of [meeting.roster, meeting.slots, meeting.slotList, meeting.hands, meeting.me, meeting.count, meeting.mediaLost]) {
      this.#stop.push(cell.subscribe(later));
    }
    this.#stop.push(meeting.speakers.subscribe(() => this.#speakersChanged()));
    const observer = new ResizeObserver(later);
    observer.observe(element);
    this.#stop.push(() => observer.disconnect());
    if (overlays) {
      observer.observe(overlays);
      const changes = new MutationObserver(later);
      changes.observe(overlays, { childList: true });
      this.#stop.push(() => changes.disconnect());
    }
    const region = element.closest<HTMLElement>("[data-region]") ?? element;
    const pressed = (event: KeyboardEvent) => this.#key(event, region);
    region.addEventListener("keydown", pressed);
    this.#stop.push(() => region.removeEventListener("keydown", pressed));
    this.#more.addEventListener("click", () => this.onMore());
    element.append(this.#more);
    meeting.onFrame = (shown) => this.#frame(shown);
    const timer = setInterval(() => this.#look(), 500);
    this.#stop.push(() => clearInterval(timer));
    const shownOrHidden = () => {
      this.#undraw?.(); // by a frame that a hidden page does not get
      this.#undraw = null;
      this.#schedule();
    };
    document.addEventListener("visibilitychange", shownOrHidden);
    this.#stop.push(() => document.removeEventListener("visibilitychange", shownOrHidden));
    this.#schedule();
  }

  set layout(layout: Layout) {
    this.#layout = layout;
    this.#redraw(0);
  }

  set pins(pins: readonly string[]) {
    this.#pins = pins;
    this.#redraw(this.#page);
  }

  turn(page: number): void {
    this.#redraw(page);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#floorTimer);
    for (const stop of this.#stop) stop();
    this.#demand.close();
    this.#meeting.onFrame = () => {};
    this.element.replaceChildren();
  }

  #redraw(page: number): void {
    this.#page = page;
    this.#places = [];
    this.#schedule();
  }

  /** Arrows, Home and End go from tile to tile; PageUp and PageDown turn the page from anywhere on the stage. */
  #key(event: KeyboardEvent, region: HTMLElement): void {
    const scene = this.#scene;
    if (!scene || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const turned = { PageUp: -1, PageDown: 1 }[event.key];
    if (turned !== undefined) {
      event.preventDefault();
      const page = this.#page + turned;
      if (scene.pages > 1 && page >= 0 && page < scene.pages) this.turn(page); // a strip has no pages
      return;
    }
    const active = document.activeElement;
    const stops = this.#stopsOf(scene);
    const from = stops.findIndex(({ target }) => (target instanceof Tile ? target.element : target).contains(active));
    if (from < 0 && active !== region) return; // what lies over the stage has keys of its own
    const to = stops[boxFor(event.key, stops.map(({ box }) => box), from)];
    if (!to) return;
    event.preventDefault();
    to.target.focus();
  }

  #schedule(): void {
    if (this.#undraw) return;
    const run = () => {
      this.#undraw = null;
      if (this.element.isConnected && !this.#closed) this.#draw();
    };
    // A hidden page gets no animation frames, but its slots still change.
    if (document.hidden) {
      const timer = setTimeout(run, 50);
      this.#undraw = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(run);
      this.#undraw = () => cancelAnimationFrame(frame);
    }
  }

  #speakersChanged(): void {
    const speakers = this.#meeting.speakers.get();
    for (const tile of [...this.#slotTiles.values(), ...this.#avatars.values()]) {
      const { participant, source } = tile.element.dataset;
      tile.speaking(source === "camera" && speakers.includes(participant ?? ""));
    }
    const first = speakers.find((id) => id !== this.#meeting.me.get()?.id);
    clearTimeout(this.#floorTimer);
    if (!first || first === this.#dominant) return;
    const now = performance.now();
    const held = this.#dominantSince + HOLD_FLOOR - now;
    if (held > 0) {
      this.#floorTimer = setTimeout(() => this.#speakersChanged(), held); // nobody tells of who speaks on
      return;
    }
    this.#dominant = first;
    this.#dominantSince = now;
    if (this.#strip) this.#schedule();
  }

  #frame(shown: Shown): void {
    if (shown.kind !== "audio") this.#tileOf(shown.slot).frame(shown.frames, performance.now());
  }

  #tileOf(slot: string): Tile {
    let tile = this.#slotTiles.get(slot);
    if (!tile) {
      tile = this.#made(slot);
      this.#slotTiles.set(slot, tile);
      if (tile.video) this.#meeting.attach(slot, tile.video);
    }
    return tile;
  }

  #made(slot: string | null): Tile {
    const tile = new Tile(slot);
    tile.onMenu = (participant, button) => this.onMenu(participant, button);
    this.element.append(tile.element);
    return tile;
  }

  #draw(): void {
    const { width, height } = this.element.getBoundingClientRect();
    const me = this.#meeting.me.get()?.id;
    const others = [...this.#meeting.roster.get().values()].filter(({ id }) => id !== me);
    const people = new Map(others.map((participant) => [participant.id, participant]));
    const screen = this.#screen(people);
    const strip = screen !== null || this.#layout === "speaker";
    if (strip !== this.#strip) this.#places = [];
    this.#strip = strip;
    const input: SceneInput = {
      people: others,
      pins: this.#pins,
      hands: this.#meeting.hands.get(),
      pictured: this.#pictured(),
      before: this.#places,
      width,
      height,
      overlays: this.#overlaid(),
      rtl: getComputedStyle(this.element).direction === "rtl",
    };
    const unseen = Math.max(this.#meeting.count.get() - 1 - others.length, 0);
    const shown = strip ? withStrip(input, screen !== null, this.#dominant, unseen) : this.#inGrid(input);
    this.#places = shown.order;
    this.#scene = shown;
    const held = this.#held();
    const before = this.#seen;
    this.#placeTiles(people, shown.order, screen, shown.boxes);
    this.#seen = [...shown.boxes.keys()].filter((id) => id !== SCREEN);
    this.#sayMore(shown.more);
    this.#keepFocus(held, before);
    this.onInfo({ pages: shown.pages, page: shown.page, sharing: screen?.participant.name ?? null });
    const tiles = this.#seen.length;
    if (tiles > VIDEO_SLOTS) void this.#meeting.grow(tiles);
    this.#demand.want({ layout: this.#layout, page: shown.page, pins: [...this.#pins], boxes: shown.boxes, screen: shown.boxes.get(SCREEN) ?? null });
  }

  #overlaid(): Overlays {
    const { left, top } = this.element.getBoundingClientRect();
    return [...(this.#overlays?.children ?? [])]
      .map((child) => child.getBoundingClientRect())
      .filter(({ width }) => width > 0)
      .map(({ x, y, width: w, height: h }) => ({ x: x - left, y: y - top, w, h }));
  }

  #inGrid(input: SceneInput): Scene {
    const scene = inGrid(input, this.#page, this.#columns);
    this.#page = scene.page;
    this.#columns = scene.columns;
    return scene;
  }

  #sayMore(more: Scene["more"]): void {
    const sign = this.#more;
    sign.hidden = more === null;
    if (more === null) return;
    sign.textContent = `+${more.count}`;
    sign.setAttribute("aria-label", this.#texts.more(more.count));
    place(sign, more.box);
  }

  /** In the order in which they are seen. */
  #stopsOf({ boxes, more }: Scene): Stop[] {
    const tiles = this.#shown();
    const stops = [...boxes].flatMap(([id, box]): Stop[] => {
      const target = tiles.find(({ element: { dataset } }) => (id === SCREEN ? dataset["source"] === SCREEN : dataset["source"] !== SCREEN && dataset["participant"] === id));
      return target ? [{ target, box }] : [];
    });
    return more ? [...stops, { target: this.#more, box: more.box }] : stops;
  }

  #shown(): Tile[] {
    return [...this.#slotTiles.values(), ...this.#avatars.values()].filter((tile) => !tile.resting);
  }

  /** Whose tile has the focus. */
  #held(): { id: string; source: string } | null {
    const tile = document.activeElement?.closest<HTMLElement>(".tile");
    const { participant, source } = (tile && this.element.contains(tile) && tile.dataset) || {};
    return participant === undefined ? null : { id: participant, source: source ?? "" };
  }

  /** The focus stays with whom it was on; when they are gone, the next tile has it, at last the stage. */
  #keepFocus(held: { id: string; source: string } | null, before: readonly string[]): void {
    if (!held) return;
    const at = before.indexOf(held.id);
    const tiles = this.#shown();
    const of = (id: string) => tiles.filter(({ element }) => element.dataset["participant"] === id);
    const own = of(held.id).toSorted((a, b) => Number(b.element.dataset["source"] === held.source) - Number(a.element.dataset["source"] === held.source));
    const next = own[0] ?? [...before.slice(at + 1), ...before.slice(0, Math.max(at, 0)).toReversed()].flatMap(of)[0] ?? tiles[0];
    if (!next) this.element.closest<HTMLElement>("[data-region]")?.focus();
    else if (!next.element.contains(document.activeElement)) next.focus();
  }

  #pictured(): Set<string> {
    const pictured = new Set<string>();
    for (const { who, source } of this.#meeting.slots.get().values()) if (who && source === "camera") pictured.add(who);
    return pictured;
  }

  #screen(people: ReadonlyMap<string, Participant>): Screen | null {
    for (const { slot, source, who } of this.#meeting.slots.get().values()) {
      const participant = source === "screen" && who ? people.get(who) : undefined;
      if (participant?.tracks.screen) return { slot, participant };
    }
    return null;
  }

  #placeTiles(people: ReadonlyMap<string, Participant>, order: readonly string[], screen: Screen | null, boxes: ReadonlyMap<string, Box>): void {
    const withPicture = new Set<string>();
    const slots = this.#meeting.slots.get();
    for (const { mid, kind } of this.#meeting.slotList.get()) if (kind !== "audio") this.#tileOf(mid);
    for (const [slot, tile] of this.#slotTiles) {
      const owner = slots.get(slot);
      const participant = owner?.who ? people.get(owner.who) : undefined;
      const source = owner?.source === "screen" ? "screen" : "camera";
      const onScreen = source === "screen" && slot === screen?.slot;
      const box = participant && boxes.get(onScreen ? SCREEN : participant.id);
      if (!participant || !box || (source === "screen" && !onScreen) || !participant.tracks[source]) {
        tile.rest();
        continue;
      }
      if (source === "camera") withPicture.add(participant.id);
      this.#label(tile, participant, source, box);
      tile.state(this.#moving(tile, participant));
    }
    for (const id of order) {
      const participant = people.get(id);
      const box = boxes.get(id);
      if (!participant || !box || withPicture.has(id)) continue;
      const tile = this.#avatars.get(id) ?? this.#made(null);
      this.#avatars.set(id, tile);
      this.#label(tile, participant, "camera", box);
      tile.state(away(participant) ? "frozen" : participant.tracks.camera ? "starting" : "off");
    }
    for (const [id, tile] of this.#avatars) {
      if (boxes.has(id) && !withPicture.has(id) && people.has(id)) continue;
      tile.element.remove();
      this.#avatars.delete(id);
    }
  }

  #label(tile: Tile, participant: Participant, source: "camera" | "screen", box: Box): void {
    const hand = this.#meeting.hands.get().indexOf(participant.id) + 1;
    tile.show({
      participant,
      source,
      name: source === "screen" ? this.#texts.screenOf(participant.name) : participant.name,
      words: this.#texts.words(participant, hand),
      marked: this.#texts.marked(participant),
      hand,
      options: this.#texts.options(participant.name),
      frozen: this.#texts.frozen,
    });
    tile.speaking(source === "camera" && this.#meeting.speakers.get().includes(participant.id));
    place(tile.element, box);
  }

  #moving(tile: Tile, participant: Participant | undefined): "live" | "frozen" | "starting" {
    if (tile.frames === 0) return "starting";
    return (this.#meeting.mediaLost.get() || away(participant)) && tile.stillFor(performance.now()) > FROZEN_AFTER ? "frozen" : "live";
  }

  #look(): void {
    const people = this.#meeting.roster.get();
    for (const tile of this.#slotTiles.values()) {
      if (!tile.resting) tile.state(this.#moving(tile, people.get(tile.element.dataset["participant"] ?? "")));
    }
  }
}

function moreSign(): HTMLButtonElement {
  const sign = document.createElement("button");
  sign.type = "button";
  sign.className = "stage-more";
  sign.hidden = true;
  return sign;
}

/** Without a connection of late; a picture that still moves is none the worse for it. */
function away(participant: Participant | undefined): boolean {
  return participant?.state === "reconnecting";
}
