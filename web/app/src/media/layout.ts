// How tiles fill a stage: pure arithmetic, no DOM. The table of expected results is in its test.

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Grid {
  columns: number;
  rows: number;
  w: number;
  h: number;
}

export const GAP = 8;
const NARROWEST = 4 / 3;
const WIDEST = 16 / 9;
/** A present number of columns stays unless another gives this much more area. */
const WORTH_A_MOVE = 1.08;

function cells(n: number, width: number, height: number, columns: number): Grid {
  const rows = Math.ceil(n / columns);
  const cellWidth = (width - (columns - 1) * GAP) / columns;
  const cellHeight = (height - (rows - 1) * GAP) / rows;
  const aspect = Math.min(Math.max(cellWidth / cellHeight, NARROWEST), WIDEST);
  const w = Math.min(cellWidth, cellHeight * aspect);
  return { columns, rows, w, h: w / aspect };
}

/** The grid of `n` tiles with the largest area; crops to between 4:3 and 16:9, never stretches. */
export function bestGrid(n: number, width: number, height: number, present?: number): Grid {
  let best = cells(n, width, height, 1);
  for (let columns = 2; columns <= n; columns += 1) {
    const grid = cells(n, width, height, columns);
    const gain = grid.w * grid.h - best.w * best.h;
    const emptier = grid.columns * grid.rows - best.columns * best.rows;
    if (gain > 0.5 || (gain > -0.5 && emptier < 0)) best = grid;
  }
  if (present === undefined || present > n) return best;
  const kept = cells(n, width, height, present);
  return best.w * best.h > kept.w * kept.h * WORTH_A_MOVE ? best : kept;
}

/** Where each of `n` tiles of the grid lies, the last row centred. */
export function gridBoxes(n: number, width: number, height: number, grid: Grid): Box[] {
  const { columns, rows, w, h } = grid;
  const top = (height - rows * h - (rows - 1) * GAP) / 2;
  return Array.from({ length: n }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = row === rows - 1 ? n - columns * (rows - 1) : columns;
    const left = (width - inRow * w - (inRow - 1) * GAP) / 2;
    return { x: left + (index % columns) * (w + GAP), y: top + row * (h + GAP), w, h };
  });
}

/** What lies over the stage: the own picture, the pager. */
export type Overlays = readonly Box[];

/** What must stay in reach on a tile: its menu at the upper end, its name at the lower start. */
const MENU = 52;
const NAME = { most: 240, share: 0.6, h: 40 };
/** A tile that is shorter than this is no use. */
const LEAST = 48;

function needed({ x, y, w, h }: Box, rtl: boolean): Box[] {
  const name = Math.min(NAME.most, w * NAME.share);
  return [
    { x: rtl ? x : x + w - MENU, y, w: MENU, h: MENU },
    { x: rtl ? x + w - name : x, y: y + h - NAME.h, w: name, h: NAME.h },
  ];
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** Whether the name and the menu of every tile can be seen and pressed. */
export function inReach(tiles: readonly Box[], overlays: Overlays, rtl = false): boolean {
  return tiles.every((tile) => needed(tile, rtl).every((part) => !overlays.some((over) => overlap(part, over))));
}

/** The parts of a stage that tiles may fill: all of it, what is above an overlay, what is beside one. */
function areas(width: number, height: number, overlays: Overlays): Box[] {
  const whole = { x: 0, y: 0, w: width, h: height };
  const above = overlays.map(({ y }) => ({ x: 0, y: 0, w: width, h: y - GAP }));
  const beside = overlays.flatMap((over) => {
    const [from, to] = besides(width, [over]);
    return [whole, ...above].map(({ y, h }) => ({ x: from, y, w: to - from, h }));
  });
  return [whole, ...above, ...beside].filter(({ w, h }) => w >= LEAST && h >= LEAST);
}

/** From where to where a line is free of what lies over it, on the longer side. */
function besides(width: number, overlays: Overlays): [number, number] {
  const before = Math.min(width, ...overlays.map(({ x }) => x - GAP));
  const after = Math.max(0, ...overlays.map(({ x, w }) => x + w + GAP));
  return before >= width - after ? [0, before] : [after, width];
}

interface Laid {
  boxes: Box[];
  columns: number;
}

/** Lays tiles into the area that gives them most room while their names and menus stay in reach. */
function clear(width: number, height: number, overlays: Overlays, rtl: boolean, lay: (area: Box) => Laid): Laid {
  const laid = areas(width, height, overlays).map(lay);
  const good = laid.filter(({ boxes }) => inReach(boxes, overlays, rtl));
  const size = ({ boxes: [box] }: Laid) => (box ? box.w * box.h : 0);
  const [first, ...others] = good.length > 0 ? good : laid;
  return others.reduce((best, next) => (size(next) > size(best) ? next : best), first ?? lay({ x: 0, y: 0, w: width, h: height }));
}

/** The grid of `n` tiles, in boxes that the overlays do not rob of names and menus. */
export function clearGrid(n: number, width: number, height: number, overlays: Overlays, present?: number, rtl = false): Laid {
  return clear(width, height, overlays, rtl, (area) => {
    const grid = bestGrid(n, area.w, area.h, present);
    const boxes = gridBoxes(n, area.w, area.h, grid).map(({ x, y, w, h }) => ({ x: area.x + x, y: area.y + y, w, h }));
    return { boxes, columns: grid.columns };
  });
}

/** Length of the sign that says how many more there are, along a strip below and beside the large box. */
const SIGN = { below: 52, beside: 44 };

export interface Speaker {
  large: Box;
  strip: Box[];
  /** Where it says how many are not in the strip; null when all are. */
  more: Box | null;
}

/** How many tiles of about this length fit in a line, and how long they are; a sign for the rest takes its part. */
function fill(small: number, unseen: number, length: number, each: number, sign: number): { count: number; each: number; rest: number } {
  const fits = (free: number) => Math.min(small, Math.max(Math.round((free + GAP) / (each + GAP)), free >= LEAST ? 1 : 0));
  const rest = fits(length) < small || unseen > 0;
  const free = rest ? length - sign - GAP : length;
  const count = fits(free);
  return { count, each: count > 0 ? Math.min(each, (free - (count - 1) * GAP) / count) : each, rest: small + unseen - count };
}

/**
 * One large box and a strip of small ones: beside it on a wide stage, below it on a narrow one. The
 * strip ends where an overlay begins. `unseen` are others of whom nothing is known but their number.
 */
export function speakerBoxes(small: number, width: number, height: number, overlays: Overlays = [], unseen = 0, rtl = false): Speaker {
  if (small + unseen === 0) {
    const { boxes: [large] } = clear(width, height, overlays, rtl, (area) => ({ boxes: [area], columns: 1 }));
    return { large: large ?? { x: 0, y: 0, w: width, h: height }, strip: [], more: null };
  }
  return width > height * 1.1 ? stripBeside(small, unseen, width, height, overlays) : stripBelow(small, unseen, width, height, overlays);
}

function stripBeside(small: number, unseen: number, width: number, height: number, overlays: Overlays): Speaker {
  const most = Math.min(240, width / 4);
  const below = overlays.filter(({ x, w }) => x + w > width - most);
  const length = Math.min(height, ...below.map(({ y }) => y - GAP));
  const { count, each, rest } = fill(small, unseen, length, (most * 9) / 16, SIGN.beside);
  const share = (each * 16) / 9;
  const at = (index: number, h: number) => ({ x: width - share, y: index * (each + GAP), w: share, h });
  return {
    large: { x: 0, y: 0, w: width - share - GAP, h: height },
    strip: Array.from({ length: count }, (_, index) => at(index, each)),
    more: rest > 0 ? at(count, SIGN.beside) : null,
  };
}

function stripBelow(small: number, unseen: number, width: number, height: number, overlays: Overlays): Speaker {
  // At least two fit side by side.
  const most = Math.min(160, height / 4, ((width - GAP) / 2) * (3 / 4));
  const lay = (bottom: number, [from, to]: [number, number]): Speaker => {
    const { count, each, rest } = fill(small, unseen, to - from, (most * 4) / 3, SIGN.below);
    const share = (each * 3) / 4;
    const at = (index: number, w: number) => ({ x: from + index * (each + GAP), y: bottom - share, w, h: share });
    return {
      large: { x: 0, y: 0, w: width, h: bottom - share - GAP },
      strip: Array.from({ length: count }, (_, index) => at(index, each)),
      more: rest > 0 ? at(count, SIGN.below) : null,
    };
  };
  const beside = lay(height, besides(width, overlays));
  // A tall stage has height to spare: the strip is then above what lies over the stage, in full width.
  const above = lay(Math.min(height, ...overlays.map(({ y }) => y - GAP)), [0, width]);
  return above.large.h >= (width * 3) / 4 || beside.strip.length === 0 ? above : beside;
}

/** Most tiles on one page: the server binds at most 25 video slots. */
export const TILES_PER_PAGE = 25;
export const TILES_PER_PAGE_PHONE = 8;
