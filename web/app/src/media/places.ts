// Who has a tile on this page, and in which order. Pure. The order is settled when a page is drawn:
// people on it never move because somebody speaks or turns a camera on; a leaver's place closes.

import type { Participant } from "../../../sdk/src/index";

export interface PlaceInput {
  /** Everybody but me. */
  people: readonly Participant[];
  pins: readonly string[];
  hands: readonly string[];
  /** Who has a picture in a slot: the server chose them for this page. */
  pictured: ReadonlySet<string>;
  page: number;
  perPage: number;
  /** The places as they are, for the same page; empty when it is drawn anew. */
  before: readonly string[];
}

export interface Places {
  order: string[];
  page: number;
  pages: number;
}

/** Own pins, hands, people with video, the rest by the time they came. */
export function ranked({ people, pins, hands }: Pick<PlaceInput, "people" | "pins" | "hands">): string[] {
  const known = new Map(people.map((participant) => [participant.id, participant]));
  const joined = people.toSorted(
    (a, b) => (a.joined_at ?? "").localeCompare(b.joined_at ?? "") || a.id.localeCompare(b.id),
  );
  const wanted = [
    ...pins,
    ...hands,
    ...joined.filter(({ tracks }) => tracks.camera).map(({ id }) => id),
    ...joined.map(({ id }) => id),
  ];
  return [...new Set(wanted)].filter((id) => known.has(id));
}

export function arrange(input: PlaceInput): Places {
  const { perPage, pictured, before } = input;
  const order = ranked(input);
  const pages = Math.max(1, Math.ceil(order.length / perPage));
  const page = Math.min(Math.max(input.page, 0), pages - 1);
  const slice = order.slice(page * perPage, (page + 1) * perPage);
  // The server's choice has its place for certain; the page is filled up with the others.
  const present = new Set(order);
  const first = new Set([...order.filter((id) => pictured.has(id)), ...slice]);
  const wanted = new Set([...first].slice(0, Math.max(slice.length, perPage)));
  const added = [...wanted].filter((id) => !before.includes(id));
  // Somebody who was swapped out by the server gives the place to who came in; a leaver gives none.
  const settled = before.flatMap((id) => {
    if (wanted.has(id)) return [id];
    const next = present.has(id) ? added.shift() : undefined;
    return next === undefined ? [] : [next];
  });
  return { order: [...settled, ...added].slice(0, perPage), page, pages };
}
