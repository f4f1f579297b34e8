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

/** One large box and a strip of small ones: beside it on a wide stage, below it on a narrow one. */
export function speakerBoxes(small: number, width: number, height: number): { large: Box; strip: Box[] } {
  if (small === 0) return { large: { x: 0, y: 0, w: width, h: height }, strip: [] };
  const wide = width > height * 1.1;
  // Below a narrow stage at least two fit side by side.
  const share = wide ? Math.min(240, width / 4) : Math.min(160, height / 4, ((width - GAP) / 2) * (3 / 4));
  const length = wide ? height : width;
  const each = wide ? (share * 9) / 16 : (share * 4) / 3;
  const room = Math.max(1, Math.floor((length + GAP) / (each + GAP)));
  const strip = Array.from({ length: Math.min(small, room) }, (_, index) => {
    const along = index * (each + GAP);
    return wide
      ? { x: width - share, y: along, w: share, h: each }
      : { x: along, y: height - share, w: each, h: share };
  });
  const large = wide
    ? { x: 0, y: 0, w: width - share - GAP, h: height }
    : { x: 0, y: 0, w: width, h: height - share - GAP };
  return { large, strip };
}

/** Most tiles on one page: the server binds at most 25 video slots. */
export const TILES_PER_PAGE = 25;
export const TILES_PER_PAGE_PHONE = 8;
