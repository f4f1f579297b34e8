// The stage: which tiles are where. One tile a video slot, made once and re-labelled when the slot
// gets another owner; a tile without picture for everybody on the page whose camera is off. Sizes go
// to the server, which fills the slots accordingly.

import { type Meeting, type Participant, type Shown, MOST_VIDEO_SLOTS, VIDEO_SLOTS } from "../../../sdk/src/index";
import { type Box, bestGrid, gridBoxes, pageOf, speakerBoxes, TILES_PER_PAGE, TILES_PER_PAGE_PHONE } from "./layout";
import { Tile } from "./tile";

export type Layout = "grid" | "speaker";

/** What the page shows of the stage's paging, and who shares. */
export interface StageInfo {
  pages: number;
  page: number;
  sharing: Participant | null;
}

export interface StageTexts {
  screenOf(name: string): string;
  words(participant: Participant, hand: number): string;
}

const VIEW_DEBOUNCE = 100;
const FROZEN_AFTER = 2000;
const PHONE_WIDTH = 600;

export class Stage {
  readonly element: HTMLElement;
  onInfo: (info: StageInfo) => void = () => {};

  readonly #meeting: Meeting;
  readonly #texts: StageTexts;
  readonly #slotTiles = new Map<string, Tile>();
  readonly #avatars = new Map<string, Tile>();
  readonly #stop: (() => void)[] = [];
  #layout: Layout = "grid";
  #page = 0;
  #columns: number | undefined;
  #dominant: string | null = null;
  #dominantSince = 0;
  #asked = "";
  #scheduled = false;
  #viewTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(element: HTMLElement, meeting: Meeting, texts: StageTexts) {
    this.element = element;
    this.#meeting = meeting;
    this.#texts = texts;
    const later = () => this.#schedule();
    for (const cell of [meeting.roster, meeting.slots, meeting.hands, meeting.me, meeting.mediaLost]) {
      this.#stop.push(cell.subscribe(later));
    }
    this.#stop.push(meeting.speakers.subscribe(() => this.#speakersChanged()));
    const observer = new ResizeObserver(later);
    observer.observe(element);
    this.#stop.push(() => observer.disconnect());
    meeting.onFrame = (shown) => this.#frame(shown);
    const timer = setInterval(() => this.#thaw(), 500);
    this.#stop.push(() => clearInterval(timer));
    const visibility = () => this.#schedule();
    document.addEventListener("visibilitychange", visibility);
    this.#stop.push(() => document.removeEventListener("visibilitychange", visibility));
    this.#schedule();
  }

  set layout(layout: Layout) {
    this.#layout = layout;
    this.#page = 0;
    this.#schedule();
  }

  turn(page: number): void {
    this.#page = page;
    this.#schedule();
  }

  close(): void {
    for (const stop of this.#stop) stop();
    clearTimeout(this.#viewTimer);
    this.#meeting.onFrame = () => {};
    this.element.replaceChildren();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A hidden page gets no animation frames, but its slots still change.
    const run = () => {
      this.#scheduled = false;
      this.#draw();
    };
    if (document.hidden) setTimeout(run, 50);
    else requestAnimationFrame(run);
  }

  #speakersChanged(): void {
    const speakers = this.#meeting.speakers.get();
    for (const tile of [...this.#slotTiles.values(), ...this.#avatars.values()]) {
      tile.speaking(speakers.includes(tile.element.dataset["participant"] ?? ""));
    }
    const first = speakers.find((id) => id !== this.#meeting.me.get()?.id);
    const now = performance.now();
    if (first && first !== this.#dominant && now - this.#dominantSince > 2000) {
      this.#dominant = first;
      this.#dominantSince = now;
      if (this.#layout === "speaker") this.#schedule();
    }
  }

  #frame(shown: Shown): void {
    if (shown.kind === "audio") return;
    this.#tileOf(shown.slot).frame(shown.frames, performance.now());
  }

  #tileOf(slot: string): Tile {
    let tile = this.#slotTiles.get(slot);
    if (!tile) {
      tile = new Tile(slot);
      this.#slotTiles.set(slot, tile);
      tile.element.hidden = true;
      this.element.append(tile.element);
      if (tile.video) this.#meeting.attach(slot, tile.video);
    }
    return tile;
  }

  /** Everybody but me: people with video first, then by the time they came. */
  #others(): Participant[] {
    const me = this.#meeting.me.get()?.id;
    const others = [...this.#meeting.roster.get().values()].filter(({ id }) => id !== me);
    const joined = ({ joined_at }: Participant) => joined_at ?? "";
    return others.toSorted((a, b) => joined(a).localeCompare(joined(b)) || a.id.localeCompare(b.id));
  }

  #draw(): void {
    const { width, height } = this.element.getBoundingClientRect();
    const others = this.#others();
    const people = new Map(others.map((participant) => [participant.id, participant]));
    const screen = this.#screen(people);
    const perPage = width < PHONE_WIDTH ? TILES_PER_PAGE_PHONE : TILES_PER_PAGE;
    const { shown, pages, page } = pageOf(others, this.#page, perPage);
    this.#page = page;
    const boxes = this.#boxes(shown, screen, width, height);
    this.#placeTiles(people, shown, screen, boxes);
    this.onInfo({ pages, page, sharing: screen?.participant ?? null });
    this.#demand(shown.length, boxes);
  }

  #screen(people: Map<string, Participant>): { slot: string; participant: Participant } | null {
    for (const shown of this.#meeting.slots.get().values()) {
      const participant = shown.source === "screen" && shown.who ? people.get(shown.who) : undefined;
      if (participant) return { slot: shown.slot, participant };
    }
    return null;
  }

  #boxes(shown: Participant[], screen: { slot: string } | null, width: number, height: number): Map<string, Box> {
    const boxes = new Map<string, Box>();
    if (screen) {
      const { large, strip } = speakerBoxes(shown.length, width, height);
      boxes.set("screen", large);
      for (const [index, box] of strip.entries()) boxes.set(shown[index]?.id ?? "", box);
      return boxes;
    }
    if (this.#layout === "speaker" && shown.length > 0) {
      const first = shown.find(({ id }) => id === this.#dominant) ?? shown[0];
      const rest = shown.filter((participant) => participant !== first);
      const { large, strip } = speakerBoxes(rest.length, width, height);
      boxes.set(first?.id ?? "", large);
      for (const [index, box] of strip.entries()) boxes.set(rest[index]?.id ?? "", box);
      return boxes;
    }
    if (shown.length === 0) return boxes;
    const grid = bestGrid(shown.length, width, height, this.#columns);
    this.#columns = grid.columns;
    for (const [index, box] of gridBoxes(shown.length, width, height, grid).entries()) {
      boxes.set(shown[index]?.id ?? "", box);
    }
    return boxes;
  }

  #placeTiles(people: Map<string, Participant>, shown: Participant[], screen: { slot: string } | null, boxes: Map<string, Box>): void {
    const withPicture = new Set<string>();
    const slots = this.#meeting.slots.get();
    for (const slot of this.#meeting.slotList?.get() ?? []) if (slot.kind !== "audio") this.#tileOf(slot.mid);
    for (const [slot, tile] of this.#slotTiles) {
      const owner = slots.get(slot);
      const participant = owner?.who ? people.get(owner.who) : undefined;
      const source = owner?.source ?? "camera";
      const box = participant && boxes.get(slot === screen?.slot ? "screen" : participant.id);
      const usable = participant && box && (source === "screen" ? slot === screen?.slot : participant.tracks.camera);
      tile.element.hidden = !usable;
      if (!usable) {
        delete tile.element.dataset["participant"];
        tile.element.removeAttribute("aria-label");
        continue;
      }
      if (source !== "screen") withPicture.add(participant.id);
      this.#label(tile, participant, source);
      tile.place(box.x, box.y, box.w, box.h);
    }
    for (const participant of shown) {
      const box = boxes.get(participant.id);
      if (withPicture.has(participant.id) || !box) continue;
      const tile = this.#avatars.get(participant.id) ?? new Tile(null);
      this.#avatars.set(participant.id, tile);
      if (!tile.element.isConnected) this.element.append(tile.element);
      this.#label(tile, participant, "camera");
      tile.state(participant.tracks.camera ? "starting" : "off");
      tile.place(box.x, box.y, box.w, box.h);
    }
    for (const [id, tile] of this.#avatars) {
      if (withPicture.has(id) || !boxes.has(id)) {
        tile.element.remove();
        this.#avatars.delete(id);
      }
    }
  }

  #label(tile: Tile, participant: Participant, source: "camera" | "mic" | "screen"): void {
    const hand = this.#meeting.hands.get().indexOf(participant.id) + 1;
    const name = source === "screen" ? this.#texts.screenOf(participant.name) : participant.name;
    tile.label(participant, source, name, this.#texts.words(participant, hand));
    if (tile.video) tile.state(this.#moving(tile));
    tile.speaking(source !== "screen" && this.#meeting.speakers.get().includes(participant.id));
  }

  #moving(tile: Tile): "live" | "frozen" | "starting" {
    if (tile.element.dataset["frames"] === "0") return "starting";
    const still = tile.stillFor(performance.now());
    return this.#meeting.mediaLost.get() && still > FROZEN_AFTER ? "frozen" : "live";
  }

  #thaw(): void {
    for (const tile of this.#slotTiles.values()) {
      if (!tile.element.hidden) tile.state(this.#moving(tile));
    }
  }

  /** Tells the server how large each slot is drawn; a hidden tab draws nothing. */
  #demand(people: number, boxes: Map<string, Box>): void {
    if (people > VIDEO_SLOTS) void this.#meeting.grow(Math.min(people, MOST_VIDEO_SLOTS));
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    const slots = this.#meeting.slots.get();
    const fallback = [...boxes].find(([key]) => key !== "screen")?.[1];
    const sizes = (this.#meeting.slotList?.get() ?? [])
      .filter(({ kind }) => kind !== "audio")
      .map(({ mid, kind }) => {
        const owner = slots.get(mid)?.who;
        const box = kind === "screen" ? (boxes.get("screen") ?? null) : ((owner && boxes.get(owner)) || fallback);
        const seen = box && !document.hidden;
        const large = kind === "screen" && !box && !document.hidden; // none shared yet: ask for all
        return {
          slot: mid,
          w: seen ? Math.round(box.w * scale) : large ? 1920 : 0,
          h: seen ? Math.round(box.h * scale) : large ? 1080 : 0,
        };
      });
    if (sizes.length === 0) return;
    const view = { layout: this.#layout, page: this.#page, pins: [], slots: sizes };
    const text = JSON.stringify(view);
    if (text === this.#asked) return;
    clearTimeout(this.#viewTimer);
    this.#viewTimer = setTimeout(() => {
      this.#asked = text;
      this.#meeting.setView(view).catch(() => (this.#asked = ""));
    }, VIEW_DEBOUNCE);
  }
}
