// The stage: which tiles are where. One tile a video slot, made once and re-labelled when the slot
// gets another owner; a tile without picture for everybody on the page whose camera is off. Sizes go
// to the server, which fills the slots accordingly. Who has a place is `places.ts`, how places fill
// the stage is `layout.ts`.

import { type Meeting, type Participant, type Shown, MOST_VIDEO_SLOTS, VIDEO_SLOTS } from "../../../sdk/src/index";
import { Demand } from "./demand";
import { type Box, bestGrid, gridBoxes, speakerBoxes, TILES_PER_PAGE, TILES_PER_PAGE_PHONE } from "./layout";
import { arrange } from "./places";
import { Tile } from "./tile";

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
  words(participant: Participant, hand: number): string;
  /** Whether the name carries the mark of staff. */
  marked(participant: Participant): boolean;
}

/** A picture that stands still this long while media or its owner is lost is shown as frozen. */
const FROZEN_AFTER = 2000;
const PHONE_WIDTH = 600;
/** Somebody holds the floor for this long before the speaker view changes. */
const HOLD_FLOOR = 2000;
const SCREEN = "screen";

interface Screen {
  slot: string;
  participant: Participant;
}

export class Stage {
  readonly element: HTMLElement;
  onInfo: (info: StageInfo) => void = () => {};
  /** Somebody asked for the menu of a tile. */
  onMenu: (participant: string, button: HTMLElement) => void = () => {};

  readonly #meeting: Meeting;
  readonly #texts: StageTexts;
  readonly #demand: Demand;
  readonly #slotTiles = new Map<string, Tile>();
  readonly #avatars = new Map<string, Tile>();
  readonly #stop: (() => void)[] = [];
  #layout: Layout = "grid";
  #pins: readonly string[] = [];
  #page = 0;
  #places: readonly string[] = [];
  #columns: number | undefined;
  #dominant: string | null = null;
  #dominantSince = -HOLD_FLOOR;
  #scheduled = false;

  constructor(element: HTMLElement, meeting: Meeting, texts: StageTexts) {
    this.element = element;
    this.#meeting = meeting;
    this.#texts = texts;
    this.#demand = new Demand(meeting);
    const later = () => this.#schedule();
    for (const cell of [meeting.roster, meeting.slots, meeting.slotList, meeting.hands, meeting.me, meeting.mediaLost]) {
      this.#stop.push(cell.subscribe(later));
    }
    this.#stop.push(meeting.speakers.subscribe(() => this.#speakersChanged()));
    const observer = new ResizeObserver(later);
    observer.observe(element);
    this.#stop.push(() => observer.disconnect());
    meeting.onFrame = (shown) => this.#frame(shown);
    const timer = setInterval(() => this.#look(), 500);
    this.#stop.push(() => clearInterval(timer));
    document.addEventListener("visibilitychange", later);
    this.#stop.push(() => document.removeEventListener("visibilitychange", later));
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

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A hidden page gets no animation frames, but its slots still change.
    const run = () => {
      this.#scheduled = false;
      if (this.element.isConnected) this.#draw();
    };
    if (document.hidden) setTimeout(run, 50);
    else requestAnimationFrame(run);
  }

  #speakersChanged(): void {
    const speakers = this.#meeting.speakers.get();
    for (const tile of [...this.#slotTiles.values(), ...this.#avatars.values()]) {
      const { participant, source } = tile.element.dataset;
      tile.speaking(source === "camera" && speakers.includes(participant ?? ""));
    }
    const first = speakers.find((id) => id !== this.#meeting.me.get()?.id);
    const now = performance.now();
    if (first && first !== this.#dominant && now - this.#dominantSince > HOLD_FLOOR) {
      this.#dominant = first;
      this.#dominantSince = now;
      if (this.#layout === "speaker") this.#schedule();
    }
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
    const { order, page, pages } = arrange({
      people: others,
      pins: this.#pins,
      hands: this.#meeting.hands.get(),
      pictured: this.#pictured(),
      page: this.#page,
      perPage: width < PHONE_WIDTH ? TILES_PER_PAGE_PHONE : TILES_PER_PAGE,
      before: this.#places,
    });
    this.#places = order;
    this.#page = page;
    const boxes = this.#boxes(order, screen, width, height);
    this.#placeTiles(people, order, screen, boxes);
    this.onInfo({ pages, page, sharing: screen?.participant.name ?? null });
    if (order.length > VIDEO_SLOTS) void this.#meeting.grow(Math.min(order.length, MOST_VIDEO_SLOTS));
    this.#demand.want({ layout: this.#layout, page, pins: [...this.#pins], boxes, screen: boxes.get(SCREEN) ?? null });
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

  #boxes(order: readonly string[], screen: Screen | null, width: number, height: number): Map<string, Box> {
    if (screen) return this.#largeAndStrip(SCREEN, order, width, height);
    if (order.length === 0) return new Map();
    if (this.#layout === "speaker") {
      const pinned = this.#pins.find((id) => order.includes(id));
      const floor = this.#dominant !== null && order.includes(this.#dominant) ? this.#dominant : undefined;
      const large = pinned ?? floor ?? order[0] ?? "";
      return this.#largeAndStrip(large, order.filter((id) => id !== large), width, height);
    }
    const grid = bestGrid(order.length, width, height, this.#columns);
    this.#columns = grid.columns;
    return new Map(gridBoxes(order.length, width, height, grid).map((box, index) => [order[index] ?? "", box]));
  }

  #largeAndStrip(large: string, others: readonly string[], width: number, height: number): Map<string, Box> {
    const boxes = speakerBoxes(others.length, width, height);
    return new Map([[large, boxes.large], ...boxes.strip.map((box, index): [string, Box] => [others[index] ?? "", box])]);
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
    tile.place(box.x, box.y, box.w, box.h);
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

/** Without a connection of late; a picture that still moves is none the worse for it. */
function away(participant: Participant | undefined): boolean {
  return participant?.state === "reconnecting";
}
