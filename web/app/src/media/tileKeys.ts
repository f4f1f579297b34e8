// Where the arrow keys, Home and End lead on the stage. Pure: which tiles there are, and who has the
// focus, is the stage's matter.

import type { Box } from "./layout";

/** What lies beside the way counts this much more than what lies on it: rows and columns are kept to. */
const ASIDE = 3;
/** Further beside the way than twice as far as on it, a box does not lie that way. */
const WIDEST = 2;
const WAYS: Readonly<Record<string, { x: number; y: number }>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

/**
 * The index of the box that a key leads to, -1 for none. From none of them (`from` is -1) an arrow
 * leads to the first.
 */
export function boxFor(key: string, boxes: readonly Box[], from: number): number {
  if (key === "Home") return boxes.length > 0 ? 0 : -1;
  if (key === "End") return boxes.length - 1;
  const way = WAYS[key];
  if (!way || boxes.length === 0) return -1;
  const here = boxes[from];
  if (!here) return 0;
  let best = -1;
  let least = Infinity;
  for (const [index, box] of boxes.entries()) {
    const right = box.x + box.w / 2 - here.x - here.w / 2;
    const down = box.y + box.h / 2 - here.y - here.h / 2;
    const ahead = right * way.x + down * way.y;
    const aside = Math.abs(right * way.y + down * way.x);
    const far = ahead + ASIDE * aside;
    if (ahead < 1 || aside > WIDEST * ahead || far >= least) continue;
    best = index;
    least = far;
  }
  return best;
}
