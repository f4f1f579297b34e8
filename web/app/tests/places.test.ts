import { describe, expect, it } from "vitest";
import type { Participant } from "../../sdk/src/index";
import { arrange, type PlaceInput, ranked } from "../src/media/places";

function person(id: string, joined: number, camera = false): Participant {
  return {
    id, identity_kind: "guest", name: id, role: "participant", state: "active", verified: false,
    tracks: { mic: false, camera, screen: false }, track_ids: {}, hand: null,
    joined_at: `2026-11-25T10:00:${String(joined).padStart(2, "0")}.000Z`, rev: 1,
  };
}

function input(over: Partial<PlaceInput>): PlaceInput {
  return { people: [], pins: [], hands: [], pictured: new Set(), page: 0, perPage: 25, before: [], ...over };
}

describe("the order of people", () => {
  it("is pins, hands, people with video, then everybody by when they came", () => {
    const people = [person("d", 4), person("c", 3, true), person("b", 2), person("a", 1)];
    expect(ranked({ people, pins: ["b"], hands: ["d"] })).toEqual(["b", "d", "c", "a"]);
  });

  it("knows nobody who has left, pinned or not", () => {
    expect(ranked({ people: [person("a", 1)], pins: ["gone"], hands: ["gone"] })).toEqual(["a"]);
  });
});

describe("a page", () => {
  it("keeps everybody in place when a camera is turned on", () => {
    const before = arrange(input({ people: [person("a", 1), person("b", 2)] })).order;
    const people = [person("a", 1), person("b", 2, true)];
    expect(arrange(input({ people, before, pictured: new Set(["b"]) })).order).toEqual(["a", "b"]);
  });

  it("puts newcomers at the end and closes a leaver's place", () => {
    const people = [person("a", 1), person("c", 3), person("d", 4, true)];
    expect(arrange(input({ people, before: ["a", "b", "c"] })).order).toEqual(["a", "c", "d"]);
  });

  it("gives a swapped-in speaker the place of who was swapped out", () => {
    const people = [person("a", 1, true), person("b", 2, true), person("c", 3, true)];
    const swapped = arrange(input({ people, perPage: 2, before: ["a", "b"], pictured: new Set(["c", "b"]) }));
    expect(swapped.order).toEqual(["c", "b"]);
    expect(swapped.pages).toBe(2);
  });

  it("is full whoever has a picture: nobody takes two places", () => {
    const people = [person("a", 1, true), person("b", 2, true), person("c", 3), person("d", 4), person("e", 5)];
    const full = arrange(input({ people, perPage: 4, pictured: new Set(["a", "b"]) }));
    expect(full.order).toEqual(["a", "b", "c", "d"]);
  });

  it("that is too high becomes the last one", () => {
    const people = [person("a", 1), person("b", 2), person("c", 3)];
    expect(arrange(input({ people, perPage: 2, page: 7 }))).toEqual({ order: ["c"], page: 1, pages: 2 });
  });
});
