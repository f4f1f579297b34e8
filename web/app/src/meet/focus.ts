// What can have the focus, and where it goes when what had it is gone. A control that vanishes with its
// press (a row of who was let in, a note that was closed) would leave the keyboard at the page's top.
//
// In the markup: `data-region` is a region, `data-focus-home` what has the focus where nothing else
// can, `data-control` says which controls do the same, and `data-focus-next` on a region which control
// follows when the region is gone.

const CONTROLS = "button, input, select, textarea, [tabindex='0']";
/** By then, in milliseconds, whatever closes has given the focus back if it could. */
const SETTLED = 50;

/** Whether this can have the focus, as far as the markup says. */
function usable(element: Element): boolean {
  return element.isConnected && !element.matches(":disabled") && element.closest("[inert], [hidden]") === null;
}

function seen(element: HTMLElement): boolean {
  return usable(element) && element.checkVisibility({ visibilityProperty: true });
}

function controls(within: Element, which = CONTROLS): HTMLElement[] {
  return [...within.querySelectorAll<HTMLElement>(which)].filter(seen);
}

/** What takes the focus of somebody who comes into a region: its heading, a control, or itself. */
function entry(region: HTMLElement): HTMLElement | null {
  const own = (element: Element) => element.closest("[data-region]") === region;
  const home = controls(region, "[data-focus-home]").find(own);
  return home ?? controls(region).find(own) ?? (region.matches("[data-focus-home]") ? region : null);
}

/** Whether another region lies over this one, as an open panel does over the stage of a small screen. */
function covered(region: HTMLElement): boolean {
  const { x, y, width, height } = region.getBoundingClientRect();
  const on = document.elementFromPoint(x + width / 2, y + height / 2)?.closest("[data-region]");
  return on !== null && on !== undefined && !on.contains(region) && !region.contains(on);
}

/** Moves to the next (or the previous) region that has anything for the focus; from nowhere to the first (the last). */
export function walkRegions(root: HTMLElement, backwards: boolean): void {
  const active = document.activeElement;
  // What is open over the room keeps the focus.
  if (active && active !== document.body && !root.contains(active)) return;
  const regions = [...root.querySelectorAll<HTMLElement>("[data-region]")].filter((region) => seen(region) && !covered(region));
  const here = regions.findLastIndex((region) => region.contains(active));
  const ahead = backwards
    ? [...regions.slice(0, Math.max(here, 0)).toReversed(), ...regions.slice(here + 1).toReversed()]
    : [...regions.slice(here + 1), ...regions.slice(0, Math.max(here, 0))];
  ahead.map(entry).find((target) => target !== null)?.focus();
}

/** Where the focus was, in words that outlive the element. */
interface Place {
  element: HTMLElement;
  region: HTMLElement | null;
  /** Of a row in a list: all rows, as they were when it was last there. */
  rows: Element[];
  row: Element | null;
}

function placeOf(element: HTMLElement): Place {
  const row = element.closest("li");
  return { element, region: element.closest<HTMLElement>("[data-region]"), row, rows: [...(row?.parentElement?.children ?? [])] };
}

/** What is nearest to a place that is gone. */
function nearest({ element, region, rows, row }: Place, root: HTMLElement, before: Place | null): HTMLElement | null | undefined {
  const { control } = element.dataset;
  const same = (within: Element) => (control === undefined ? undefined : controls(within, `[data-control="${control}"]`)[0]);
  const at = row ? rows.indexOf(row) : 0;
  const found = [...rows.slice(at + 1), ...rows.slice(0, at).toReversed()].filter(usable).map(same).find(Boolean);
  if (found) return found;
  if (region && seen(region)) {
    const target = same(region) ?? entry(region);
    if (target) return target;
  }
  const next = region?.dataset["focusNext"];
  return (next === undefined ? undefined : controls(root, `[data-control="${next}"]`)[0])
    ?? (before && seen(before.element) ? before.element : undefined)
    ?? controls(root, "[data-region=controls] button")[0];
}

/**
 * Keeps the focus from falling to nowhere, as long as `root` is shown; returns what ends that. It
 * moves only when what had it is gone, never for what comes.
 */
export function keepFocus(root: HTMLElement): () => void {
  let last: Element | null = document.activeElement;
  let here: Place | null = last instanceof HTMLElement && root.contains(last) ? placeOf(last) : null;
  let before: Place | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const moved = ({ target }: FocusEvent) => {
    if (!(target instanceof HTMLElement)) return;
    last = target;
    if (!root.contains(target)) return; // a menu or a question over the room: it gives the focus back
    const place = placeOf(target);
    if (here && here.region !== place.region) before = here;
    here = place;
  };
  const repair = () => {
    const active = document.activeElement;
    if (!last || usable(last) || (active && active !== document.body && usable(active))) return;
    const target = here && usable(here.element) ? here.element : here && nearest(here, root, before);
    target?.focus();
  };
  const changed = () => {
    if (here?.row?.parentElement && usable(here.element)) here.rows = [...here.row.parentElement.children];
    if (!last || usable(last)) return;
    clearTimeout(timer);
    timer = setTimeout(repair, SETTLED);
  };
  document.addEventListener("focusin", moved);
  const observer = new MutationObserver(changed);
  observer.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["disabled", "hidden", "inert"] });
  return () => {
    clearTimeout(timer);
    observer.disconnect();
    document.removeEventListener("focusin", moved);
  };
}
