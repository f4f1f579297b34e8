import { describe, expect, it } from "vitest";
import { bestGrid, gridBoxes } from "../src/media/layout";
import { boxFor } from "../src/media/tileKeys";

/** Five tiles: three, and two in the middle of the row below. */
const five = [[0, 0], [16, 0], [32, 0], [8, 9], [24, 9]].map(([x = 0, y = 0]) => ({ x, y, w: 16, h: 9 }));
/** A large tile with four beside it. */
const strip = [{ x: 0, y: 0, w: 80, h: 45 }, ...[0, 9, 18, 27].map((y) => ({ x: 80, y, w: 16, h: 9 }))];
/** The same with two, which lie higher than its middle. */
const short = strip.slice(0, 3);
/** A tile with another some way on in its row, and one that is nearer and half a row below. */
const uneven = [{ x: 0, y: 0, w: 16, h: 9 }, { x: 32, y: 0, w: 16, h: 9 }, { x: 18, y: 8, w: 16, h: 9 }];

describe("the arrow keys", () => {
  it.each([
    ["along a row", five, 0, "ArrowRight", 1],
    ["not beyond its end", five, 2, "ArrowRight", -1],
    ["to the row below that is not full", five, 2, "ArrowDown", 4],
    ["back to the one above", five, 3, "ArrowUp", 0],
    ["not past the last row", five, 4, "ArrowDown", -1],
    ["from the large tile to the middle of the strip", strip, 0, "ArrowRight", 3],
    ["from the strip to the large tile", strip, 4, "ArrowLeft", 0],
    ["along the strip", strip, 1, "ArrowDown", 2],
    ["not from its end to the large tile beside it", short, 2, "ArrowDown", -1],
    ["not from the large tile up to what lies beside it", short, 0, "ArrowUp", -1],
    ["to the side from there all the same", short, 2, "ArrowLeft", 0],
    ["along the row, not to what is nearer and beside it", uneven, 0, "ArrowRight", 1],
    ["to what lies far on and a little beside", [...uneven.slice(0, 1), { x: 64, y: 9, w: 16, h: 9 }], 0, "ArrowRight", 1],
    ["to the first from nowhere", strip, -1, "ArrowUp", 0],
    ["with Home to the first", five, 3, "Home", 0],
    ["with End to the last", five, 0, "End", 4],
    ["with another key nowhere", five, 0, "a", -1],
    ["nowhere on an empty stage", [], -1, "ArrowDown", -1],
    ["nowhere on an empty stage with Home", [], -1, "Home", -1],
  ])("lead %s", (_, boxes, from, key, to) => {
    expect(boxFor(key, boxes, from)).toBe(to);
  });

  it.each([[1600, 900], [400, 800], [800, 800]])("reach every tile of every grid on %i x %i", (width, height) => {
    for (let count = 1; count <= 25; count += 1) {
      const boxes = gridBoxes(count, width, height, bestGrid(count, width, height));
      const reached = new Set([0]);
      for (const from of reached) {
        for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
          const to = boxFor(key, boxes, from);
          if (to >= 0) reached.add(to);
        }
      }
      expect(reached.size, `${count} tiles`).toBe(count);
    }
  });
});
