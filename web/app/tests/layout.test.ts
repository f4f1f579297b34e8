import { describe, expect, it } from "vitest";
import { bestGrid, type Box, clearGrid, GAP, gridBoxes, inReach, speakerBoxes, TILES_PER_PAGE, TILES_PER_PAGE_PHONE } from "../src/media/layout";

/** stage, then tiles → columns x rows and tile width, as the design computed them. */
const TABLE: [string, [number, string, number][]][] = [
  ["1424x764", [[1, "1x1", 1358], [2, "2x1", 708], [3, "2x2", 672], [4, "2x2", 672], [5, "3x2", 469], [6, "3x2", 469], [9, "3x3", 443], [16, "4x4", 328], [25, "5x5", 260]]],
  ["1064x764", [[1, "1x1", 1064], [2, "1x2", 672], [3, "2x2", 528], [4, "2x2", 528], [5, "2x3", 443], [6, "2x3", 443], [9, "3x3", 349], [16, "4x4", 260], [25, "5x5", 206]]],
  ["1264x584", [[1, "1x1", 1038], [2, "2x1", 628], [3, "2x2", 512], [4, "2x2", 512], [5, "3x2", 416], [6, "3x2", 416], [9, "3x3", 336], [16, "4x4", 248], [25, "7x4", 173]]],
  ["374x640", [[1, "1x1", 374], [2, "1x2", 374], [4, "1x4", 273], [6, "2x3", 183]]],
  ["828x262", [[1, "1x1", 465], [2, "2x1", 410], [4, "4x1", 201], [6, "3x2", 225]]],
];

describe("the grid", () => {
  for (const [stage, rows] of TABLE) {
    const [width, height] = stage.split("x").map(Number) as [number, number];
    it.each(rows)(`on ${stage} gives %i tiles the design's columns, rows and width`, (n, grid, tileWidth) => {
      const got = bestGrid(n, width, height);
      expect([`${got.columns}x${got.rows}`, Math.floor(got.w)]).toEqual([grid, tileWidth]);
    });
  }

  it("keeps its columns at the border until another gives 8 % more area", () => {
    let columns: number | undefined;
    const changes: number[] = [];
    for (let width = 900; width <= 1300; width += 5) {
      const grid = bestGrid(2, width, 764, columns);
      if (grid.columns !== columns) changes.push(width);
      ({ columns } = grid);
    }
    expect(changes.length).toBe(2);
    const border = changes[1] ?? 0;
    expect(bestGrid(2, border - 10, 764, 2).columns).toBe(2);
    expect(bestGrid(2, border - 10, 764, 1).columns).toBe(1);
  });

  it.each([[3, 949, 412, "3x1"], [13, 1587, 832, "5x3"]])("leaves as few places empty as it can where that costs no room: %i on %ix%i", (n, width, height, grid) => {
    const { columns, rows } = bestGrid(n, width, height);
    expect(`${columns}x${rows}`).toBe(grid);
  });

  it("crops to between 4:3 and 16:9 and never stretches", () => {
    for (let n = 1; n <= 25; n += 1) {
      for (const [width, height] of [[1424, 764], [374, 640], [828, 262], [500, 500]] as const) {
        const { w, h } = bestGrid(n, width, height);
        expect(w / h).toBeGreaterThan(4 / 3 - 1e-9);
        expect(w / h).toBeLessThan(16 / 9 + 1e-9);
      }
    }
  });

  it("places tiles inside the stage, apart from each other, the last row in the middle", () => {
    const grid = bestGrid(5, 1424, 764);
    const boxes = gridBoxes(5, 1424, 764, grid);
    for (const [index, a] of boxes.entries()) {
      expect(a.x).toBeGreaterThanOrEqual(-1e-9);
      expect(a.y + a.h).toBeLessThanOrEqual(764 + 1e-9);
      for (const b of boxes.slice(index + 1)) {
        expect(a.x + a.w + GAP <= b.x + 1e-9 || b.x + b.w + GAP <= a.x + 1e-9 || a.y + a.h + GAP <= b.y + 1e-9).toBe(true);
      }
    }
    const last = boxes.slice(3);
    expect((last[0]?.x ?? 0) + (last[1]?.x ?? 0) + grid.w).toBeCloseTo(1424);
  });
});

/** The own picture in its corner, and a pager in the middle below. */
const own = (width: number, height: number, w = 112, h = 63): Box => ({ x: width - w - 8, y: height - h - 8, w, h });
const pager = (width: number, height: number): Box => ({ x: (width - 128) / 4, y: height - 60, w: 158, h: 52 });
const STAGES = [[1264, 600, 220, 124], [1904, 960, 220, 124], [374, 672, 112, 63], [344, 468, 112, 63], [304, 308, 112, 63], [828, 270, 149, 84], [624, 240, 112, 63]] as const;
const apart = (a: Box, b: Box) => a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;

describe("what must be in reach on a tile", () => {
  it.each([[false, "left below, right above"], [true, "left above, right below"]])("is its menu at the upper end and its name at the lower start: right to left %s", (rtl, parts) => {
    const [left, right, above, below] = [8, 372, 8, 272];
    const corners = { "left above": [left, above], "left below": [left, below], "right above": [right, above], "right below": [right, below] } as const;
    const needed = Object.entries(corners).filter(([, [x, y]]) => !inReach([{ x: 0, y: 0, w: 400, h: 300 }], [{ x, y, w: 20, h: 20 }], rtl));
    expect(needed.map(([corner]) => corner).join(", ")).toBe(parts);
  });
});

describe("the grid under overlays", () => {
  it.each(STAGES)("on %ix%i keeps every name and menu from under the own picture and the pager", (width, height, w, h) => {
    for (let n = 1; n <= (width < 600 ? TILES_PER_PAGE_PHONE : TILES_PER_PAGE); n += 1) {
      for (const overlays of [[own(width, height, w, h)], [own(width, height, w, h), pager(width, height)]]) {
        const { boxes } = clearGrid(n, width, height, overlays);
        expect([boxes.length, inReach(boxes, overlays)]).toEqual([n, true]);
      }
    }
  });

  it("takes all of the stage where nothing is covered, and looks the same the other way round", () => {
    const corner = own(1264, 600, 220, 124);
    expect(clearGrid(1, 1264, 600, [corner])).toEqual(clearGrid(1, 1264, 600, []));
    const mirrored = { ...corner, x: 8 };
    expect(inReach(clearGrid(12, 1264, 600, [mirrored], undefined, true).boxes, [mirrored], true)).toBe(true);
    expect(inReach(clearGrid(12, 1264, 600, []).boxes, [corner])).toBe(false);
  });
});

describe("the strip under overlays", () => {
  it.each(STAGES)("on %ix%i ends before the own picture and says how many more there are", (width, height, w, h) => {
    const corner = own(width, height, w, h);
    for (const small of [1, 2, 3, 5, 10]) {
      const { large, strip, more } = speakerBoxes(small, width, height, [corner]);
      expect(strip.length).toBeGreaterThanOrEqual(1);
      expect(more === null).toBe(strip.length === small);
      const boxes = [large, ...strip, ...(more ? [more] : [])];
      for (const [index, box] of boxes.entries()) {
        for (const other of boxes.slice(index + 1)) expect(apart(box, other)).toBe(true);
        expect(box.x >= 0 && box.y >= 0 && box.x + box.w <= width + 1e-9 && box.y + box.h <= height + 1e-9).toBe(true);
      }
      expect(boxes.slice(1).every((box) => apart(box, corner))).toBe(true);
      expect(inReach([large, ...strip], [corner])).toBe(true);
    }
  });

  it("shows three and a sign beside a share on a laptop", () => {
    const { strip, more } = speakerBoxes(10, 1264, 600, [own(1264, 600, 220, 124)]);
    expect([strip.length, more !== null]).toEqual([3, true]);
  });

  it("says of those of whom only the number is known, too", () => {
    expect(speakerBoxes(1, 1264, 600, [], 0).more).toBeNull();
    expect(speakerBoxes(1, 1264, 600, [], 40).more).not.toBeNull();
  });
});

describe("the speaker view", () => {
  it("gives one person the whole stage", () => {
    expect(speakerBoxes(0, 800, 600)).toEqual({ large: { x: 0, y: 0, w: 800, h: 600 }, strip: [], more: null });
  });

  it.each([[1264, 584], [374, 640], [828, 262]])("on %ix%i keeps the strip beside the large picture", (width, height) => {
    const { large, strip } = speakerBoxes(20, width, height);
    expect(strip.length).toBeGreaterThanOrEqual(2);
    for (const box of strip) {
      expect(box.x >= large.w + GAP || box.y >= large.h + GAP).toBe(true);
      expect(box.x + box.w).toBeLessThanOrEqual(width + 1e-9);
      expect(box.y + box.h).toBeLessThanOrEqual(height + 1e-9);
    }
  });
});
