// The link's secret: taken out of the address bar at once, kept for this tab only. It is never in a
// server's log or a referrer, and a reload finds it again.

import { type Invitation, parseInvitation } from "../../../sdk/src/index";

const KEY = "sunup.secret.";

/** What the address says; cleans the address bar. Null when there is no link to follow. */
export function takeInvitation(location: Location, history: History, storage: Storage | null): Invitation | null {
  const given = parseInvitation(location.href);
  if (given) {
    storage?.setItem(KEY + given.code, given.secret);
    history.replaceState(history.state, "", location.pathname);
    return given;
  }
  const code = /^\/m\/([^/]+)\/?$/.exec(location.pathname)?.[1];
  const kept = code ? storage?.getItem(KEY + decodeURIComponent(code)) : null;
  return code && kept ? { origin: location.origin, code: decodeURIComponent(code), secret: kept } : null;
}

/** Storage that the browser may refuse to give. */
export function storageOrNull(read: () => Storage): Storage | null {
  try {
    return read();
  } catch {
    return null;
  }
}
