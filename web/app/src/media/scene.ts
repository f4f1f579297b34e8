// Who of those in the meeting is shown where on this stage: a grid of pages, or one large tile and a
// strip. Pure; who has a place is `places.ts`, the arithmetic is `layout.ts`.

import type { Participant } from "../../../sdk/src/index";
import { type Box, clearGrid, type Overlays, speakerBoxes, TILES_PER_PAGE, TILES_PER_PAGE_PHONE } from "./layout";
import { arrange } from "./places";

/** The large tile of a shared screen, beside those of people. */
export const SCREEN = "screen";
const PHONE_WIDTH = 600;

export interface SceneInput {
  /** Everybody but me. */
  people: readonly Participant[];
  pins: readonly string[];
  hands: readonly string[];
  /** Who has a picture in a slot. */
  pictured: ReadonlySet<string>;
  /** The places as they are; empty when they are drawn anew. */
  before: readonly string[];
  width: number;
  height: number;
  overlays: Overlays;
  rtl: boolean;
}

export interface Scene {
  order: string[];
  page: number;
  pages: number;
  /** By participant, or `SCREEN`. */
  boxes: Map<string, Box>;
  /** How many of the others are not shown, where that is said; null when it is not. */
  more: { count: number; box: Box } | null;
}

/** Everybody alike, by the page; `columns` are those of the grid as it is. */
export function inGrid(input: SceneInput, page: number, columns?: number): Scene & { columns: number | undefined } {
  const { width, height, overlays, rtl } = input;
  const places = arrange({ ...input, page, perPage: width < PHONE_WIDTH ? TILES_PER_PAGE_PHONE : TILES_PER_PAGE });
  const { length } = places.order;
  if (length === 0) return { ...places, boxes: new Map(), more: null, columns };
  const grid = clearGrid(length, width, height, overlays, columns, rtl);
  return { ...places, boxes: named(places.order, grid.boxes), more: null, columns: grid.columns };
}

/**
 * One large tile, the shared screen or a person, and as many of the others as have room beside it: own
 * pins and who has the floor are among them. `unseen` are others of whom only the number is known.
 */
export function withStrip(input: SceneInput, sharing: boolean, floor: string | null, unseen: number): Scene {
  const { people, pins, pictured, width, height, overlays, rtl } = input;
  const lead = sharing || people.length === 0 ? 0 : 1;
  const room = speakerBoxes(people.length - lead, width, height, overlays, unseen, rtl);
  const speaks = people.some(({ id }) => id === floor) ? floor : null;
  const wanted = speaks === null ? pins : [...pins, speaks];
  const { order } = arrange({
    ...input,
    pins: wanted,
    pictured: new Set([...pictured, ...wanted]),
    page: 0,
    perPage: Math.max(1, room.strip.length + lead),
  });
  const first = lead === 0 ? undefined : (pins.find((id) => order.includes(id)) ?? speaks ?? order[0]);
  const large = sharing ? SCREEN : first;
  const strip = named(order.filter((id) => id !== first), room.strip);
  const count = people.length + unseen - lead - strip.size;
  return {
    order,
    page: 0,
    pages: 1,
    boxes: large === undefined ? strip : new Map([[large, room.large], ...strip]),
    more: room.more && count > 0 ? { count, box: room.more } : null,
  };
}

function named(ids: readonly string[], boxes: readonly Box[]): Map<string, Box> {
  return new Map(boxes.flatMap((box, index): [string, Box][] => {
    const id = ids[index];
    return id === undefined ? [] : [[id, box]];
  }));
}
