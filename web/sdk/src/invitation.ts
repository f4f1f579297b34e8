// From a link to a join token. The secret of a link sits in the URL's fragment, so it is in no
// server log and no referrer; it is traded for a token that works once, within a minute.

import { type JoinAnswer, RequestError, type WireError } from "./messages";

/** What a link says. */
export interface Invitation {
  /** Where the server is, such as `https://meet.example.com`. */
  origin: string;
  code: string;
  secret: string;
}

/** Reads `{origin}/m/{code}#k={secret}`; null when it is no such link. */
export function parseInvitation(link: string): Invitation | null {
  if (!URL.canParse(link)) return null;
  const url = new URL(link);
  const code = /^\/m\/([^/]+)\/?$/.exec(url.pathname)?.[1];
  const secret = new URLSearchParams(url.hash.slice(1)).get("k");
  return code && secret ? { origin: url.origin, code: decodeURIComponent(code), secret } : null;
}

/** A path that swallows everything would keep a browser waiting for minutes. */
const ANSWER_WITHIN = 10_000;

const DEVICE = "sunup.device";

/** The key by which a reload or a second tab of this browser is the same participant. */
export function deviceKey(storage: Pick<Storage, "getItem" | "setItem"> | null = browserStorage()): string {
  const kept = storage?.getItem(DEVICE);
  if (kept) return kept;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const made = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
  storage?.setItem(DEVICE, made);
  return made;
}

function browserStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null; // blocked by the browser: every load is a new device
  }
}

/**
 * Trades the link for a join token.
 *
 * @throws RequestError `not_found`, `ended`, `cancelled`, `early` (with `opens_at`), `full`, `rate`;
 *   `offline` when the server cannot be reached; `http_…` when something else answered.
 */
export async function requestToken(invitation: Invitation, device: string): Promise<JoinAnswer> {
  let answer: Response;
  try {
    answer = await fetch(`${invitation.origin}/m/${encodeURIComponent(invitation.code)}/join`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ secret: invitation.secret, device }),
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(ANSWER_WITHIN),
    });
  } catch {
    throw new RequestError({ code: "offline", detail: "The server can't be reached." });
  }
  const body: unknown = (await answer.json().catch(() => null)) ?? {};
  if (!answer.ok || !isAnswer(body)) {
    const problem = body as Partial<WireError>;
    throw new RequestError({ ...problem, code: problem.code ?? `http_${answer.status}` });
  }
  return body;
}

/** Whether it is an answer of this server, not of some proxy before it. */
function isAnswer(body: unknown): body is JoinAnswer {
  const { token, ws } = body as Partial<JoinAnswer>;
  return typeof token === "string" && typeof ws === "string";
}
