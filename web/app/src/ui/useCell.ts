// React reads the SDK's cells here, and only here.

import { useCallback, useSyncExternalStore } from "react";
import type { Readable } from "../../../sdk/src/index";

/** The cell's value; renders again when it changes. */
export function useCell<T>(cell: Readable<T>): T {
  return useSyncExternalStore(cell.subscribe, cell.get);
}

/** What `select` makes of the value; renders again only when that changes (`Object.is`). */
export function useSelected<T, R extends string | number | boolean | null>(cell: Readable<T>, select: (value: T) => R): R {
  return useSyncExternalStore(cell.subscribe, useCallback(() => select(cell.get()), [cell, select]));
}
