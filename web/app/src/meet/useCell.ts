// React's way to read a cell of the SDK.

import { useSyncExternalStore } from "react";
import type { Readable } from "../../../sdk/src/index";

export function useCell<T>(readable: Readable<T>): T {
  return useSyncExternalStore(readable.subscribe, readable.get);
}
