// The WebSocket to the server: requests with ids, events in order, resume after a loss.
//
// A connection outlives its sockets. Requests that had no reply when a socket died are sent again
// under the same id, which the server answers once; events continue where they stopped, or a
// snapshot says that they could not. What the events mean is `meeting.ts`.

import type { EventFrame, HelloReply, ReplyFrame } from "./messages";
import { PASSING, RequestError } from "./messages";

export const SUBPROTOCOL = "sunup.v1.json";

/** Close codes after which nobody tries again, and what they mean to the page. */
const TERMINAL: Record<number, Ending> = {
  1000: "left",
  4400: "lost",
  4401: "unauthorized",
  4403: "denied",
  4404: "removed",
  4409: "superseded",
  4410: "ended",
};

/** Refusals of a hello or of a token that say why there is nothing to come back to. */
const TERMINAL_REFUSALS: Record<string, Ending> = { ended: "ended", cancelled: "cancelled", superseded: "superseded", forbidden: "denied", closed: "locked" };

export type Ending = "unauthorized" | "denied" | "locked" | "removed" | "superseded" | "ended" | "cancelled" | "left" | "lost";

export interface ConnectionEvents {
  /** After each hello; the first, a resumed one, or one that starts anew with a snapshot. */
  onWelcome(reply: HelloReply): void;
  onEvent(event: EventFrame): void;
  /** The socket is gone (true) or back (false). */
  onLost(lost: boolean): void;
  /** No further attempt will be made. Not told when `open` was refused: its error says it. */
  onEnd(ending: Ending): void;
}

export interface ConnectionOptions {
  url: string;
  /** A one-time join token; asked for again when a resume is refused. */
  token: () => Promise<string>;
  name: string;
  client: string;
  events: ConnectionEvents;
  /** Longest milliseconds of the waits between attempts; each is a random part of its own. */
  delays?: readonly number[];
  random?: () => number;
  now?: () => number;
}

/** The longest waits. Full jitter from the first attempt on, so that a restarted server is not stormed. */
export const DELAYS: readonly number[] = [300, 600, 1200, 2400, 4800, 9600, 10_000];

/** Of `WebSocket.readyState`; above it the socket closes or is closed. */
const OPEN = 1;
/** Our own close codes: to connect again, and because the server was silent. */
const TRY_AGAIN = 4001;
const SILENCE = 4002;
const FLOODED = 4429;
const AFTER_FLOOD = 5000;
const PING_EVERY = 10_000;
const DEAD_AFTER = 20_000;
/** From the dial to the hello's reply; a path that swallows everything answers nothing, not even no. */
const ANSWER_WITHIN = 10_000;
const LAST_TRY = 1000;
/** A closed laptop or a long outage: after this the page offers to join anew. */
const GIVE_UP_AFTER = 60_000;

/**
 * What says something once is sent again when the server could not store it in time, so often: it may have been
 * stored after all, and its id tells. Of all else the last wish counts, which an older one must not overtake.
 */
const SAID = new Set(["chat.send", "lobby.say"]);
const RESENDS = 3;
const RESEND_AFTER = 1000;

interface Pending {
  method: string;
  frame: string;
  resends: number;
  resolve(payload: unknown): void;
  reject(error: RequestError): void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #positions = new Map<string, [number, number]>();
  #socket: WebSocket | null = null;
  #resume: string | null = null;
  #welcomed = false;
  /** Whether a token was refused and another one asked for. */
  #renewed = false;
  #ended = false;
  #attempt = 0;
  #lostAt: number | null = null;
  #retryIn: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #pulse: ReturnType<typeof setInterval> | undefined;
  #heardAt = 0;
  #first: { resolve(reply: HelloReply): void; reject(error: unknown): void } | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Opens the first socket; settles with the first hello's reply. */
  open(): Promise<HelloReply> {
    return new Promise((resolve, reject) => {
      this.#first = { resolve, reject };
      void this.#dial();
    });
  }

  /**
   * Sends a request and waits for its reply, over as many sockets as it takes.
   *
   * @throws RequestError what the server refused with; `closed` when the connection has ended.
   */
  request<T>(method: string, params: object = {}, expectedRev?: number): Promise<T> {
    if (this.#ended) return Promise.reject(new RequestError({ code: "closed" }));
    const id = crypto.randomUUID();
    const body: Record<string, unknown> = { id, m: method, p: params };
    if (expectedRev !== undefined) body["if"] = expectedRev;
    const frame = JSON.stringify(body);
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { method, frame, resends: 0, resolve: resolve as (payload: unknown) => void, reject });
      if (this.#welcomed) this.#send(frame);
    });
  }

  /** Ends for good, without a word to the server. */
  close(): void {
    this.#end("left");
  }

  /** Tries at once instead of waiting out the delay: the network came back, say. */
  hurry(): void {
    if (this.#ended || this.#welcomed) return;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(TRY_AGAIN);
    void this.#dial();
  }

  async #dial(): Promise<void> {
    if (this.#ended || this.#socket) return;
    let token: string | null = null;
    if (this.#resume === null) {
      try {
        token = await this.#options.token();
      } catch (error) {
        this.#tokenRefused(error);
        return;
      }
      if (this.#ended || this.#socket) return;
    }
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.#options.url, SUBPROTOCOL);
    } catch (error) {
      // An address that is none, or one that the page's security forbids: never another time.
      this.#refuse(new RequestError({ code: "offline", detail: String(error) }), "lost");
      return;
    }
    this.#socket = socket;
    this.#heardAt = this.#clock();
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#abandon(SILENCE), Math.min(ANSWER_WITHIN, Math.max(LAST_TRY, this.#left())));
    socket.addEventListener("open", () => socket === this.#socket && this.#hello(token));
    socket.addEventListener("message", (message) => this.#receive(socket, String(message.data)));
    socket.addEventListener("close", (event) => this.#closed(socket, event.code));
  }

  #tokenRefused(error: unknown): void {
    if (this.#ended) return;
    const passing = error instanceof RequestError && PASSING.test(error.code);
    if (passing && !this.#first) {
      this.#retryIn = error.retryMs ?? null;
      this.#retry();
    } else this.#refuse(error, (error instanceof RequestError && TERMINAL_REFUSALS[error.code]) || "unauthorized");
  }

  #hello(token: string | null): void {
    const { name, client } = this.#options;
    const p: Record<string, unknown> = { proto: 1, name, client };
    if (this.#resume === null) p["token"] = token;
    else p["resume"] = { secret: this.#resume, streams: Object.fromEntries(this.#positions) };
    this.#send(JSON.stringify({ id: "hello", m: "hello", p }));
  }

  #receive(socket: WebSocket, text: string): void {
    if (socket !== this.#socket) return;
    this.#heardAt = this.#clock();
    const frame = JSON.parse(text) as Record<string, unknown>;
    if ("ping" in frame) this.#send(JSON.stringify({ pong: frame["ping"] }));
    else if ("re" in frame) this.#reply(frame as unknown as ReplyFrame);
    else if ("batch" in frame) for (const event of frame["batch"] as EventFrame[]) this.#event(event);
    else if ("t" in frame) this.#event(frame as unknown as EventFrame);
  }

  #reply(reply: ReplyFrame): void {
    if (reply.re === "hello") {
      this.#welcome(reply);
      return;
    }
    const pending = this.#pending.get(reply.re);
    if (!pending) return;
    if (reply.err?.code === "unavailable" && SAID.has(pending.method) && pending.resends < RESENDS) {
      pending.resends += 1;
      setTimeout(() => this.#resend(reply.re), reply.err.retry_ms ?? RESEND_AFTER);
      return;
    }
    this.#pending.delete(reply.re);
    if (reply.ok) pending.resolve(reply.p ?? {});
    else pending.reject(new RequestError(reply.err ?? { code: "internal" }));
  }

  /** Unless it was answered meanwhile, or waits for a new socket. Sent once too often it is answered once. */
  #resend(id: string): void {
    const pending = this.#pending.get(id);
    if (pending && this.#welcomed) this.#send(pending.frame);
  }

  #welcome(reply: ReplyFrame): void {
    if (!reply.ok) {
      const error = new RequestError(reply.err ?? { code: "internal" });
      const retried = error.code === "draining" || error.code === "unavailable" || error.code === "rate";
      if (this.#resume !== null && !retried) this.#resume = null; // stale: join anew with a fresh token
      else if (error.code === "unauthorized" && !this.#renewed) this.#renewed = true; // from before the server's restart
      else if (!retried) this.#refuse(error, TERMINAL_REFUSALS[error.code] ?? "unauthorized");
      if (error.code === "rate" && this.#lostAt !== null) this.#lostAt = this.#clock(); // it is there, and asks to wait
      this.#retryIn = error.retryMs ?? null;
      this.#socket?.close(TRY_AGAIN);
      return;
    }
    const welcome = reply.p as HelloReply;
    this.#resume = welcome.resume.secret;
    this.#renewed = false;
    if (!welcome.resumed) this.#forget();
    this.#welcomed = true;
    this.#attempt = 0;
    clearTimeout(this.#deadline);
    // Before anybody hears of it: what is asked from in there is sent as it is asked.
    for (const { frame } of this.#pending.values()) this.#send(frame);
    this.#options.events.onWelcome(welcome);
    this.#first?.resolve(welcome);
    this.#first = null;
    if (this.#lostAt !== null) {
      this.#lostAt = null;
      this.#options.events.onLost(false);
    }
    clearInterval(this.#pulse);
    this.#pulse = setInterval(() => this.#beat(), PING_EVERY);
  }

  /** A new connection of the participant: what concerned the old media transport is void. */
  #forget(): void {
    this.#positions.clear();
    for (const [id, { method, reject }] of this.#pending) {
      if (!method.startsWith("media.") && method !== "view.set") continue;
      this.#pending.delete(id);
      reject(new RequestError({ code: "stale_epoch" }));
    }
  }

  #event(event: EventFrame): void {
    if (event.s !== undefined) {
      const last = this.#positions.get(event.st);
      if (last && last[0] === event.ep && event.s <= last[1]) return; // seen before the loss
      this.#positions.set(event.st, [event.ep, event.s]);
    }
    if (event.t === "snapshot") this.#adopt(event.p);
    if (event.t === "draining") {
      this.#retryIn = (event.p as { reconnect_in_ms: number }).reconnect_in_ms;
    }
    this.#options.events.onEvent(event);
  }

  #adopt(snapshot: unknown): void {
    const { positions } = snapshot as { positions?: Record<string, [number, number]> };
    if (!positions) return;
    this.#positions.clear();
    for (const [stream, position] of Object.entries(positions)) this.#positions.set(stream, position);
  }

  /** A browser complains of what is sent to a socket that closes; its requests wait for the next. */
  #send(text: string): void {
    if (this.#socket && this.#socket.readyState <= OPEN) this.#socket.send(text);
  }

  #beat(): void {
    if (this.#clock() - this.#heardAt > DEAD_AFTER) this.#abandon(SILENCE);
    else this.#send(JSON.stringify({ ping: Math.round(this.#clock()) }));
  }

  /** Leaves the socket at once: the closing handshake may take as long as the answer that didn't come. */
  #abandon(code: number): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#closed(socket, code);
    socket.close(code);
  }

  #closed(socket: WebSocket, code: number): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.#welcomed = false;
    clearInterval(this.#pulse);
    clearTimeout(this.#deadline);
    if (this.#ended) return;
    const ending = TERMINAL[code];
    if (code === 4401) this.#resume = null; // the hello's reply has said whether to go on
    else if (ending) {
      this.#refuse(new RequestError({ code: ending }), ending);
      return;
    }
    if (code === FLOODED) this.#retryIn ??= AFTER_FLOOD; // a refused hello may have said it better
    if (this.#lostAt === null) {
      const now = this.#clock();
      // Who fell silent is lost since the last word; a page that slept itself has time to try, all the same.
      this.#lostAt = code === SILENCE ? Math.max(this.#heardAt, now - GIVE_UP_AFTER / 2) : now;
      this.#options.events.onLost(true);
    }
    this.#retry();
  }

  /** Milliseconds until nobody tries any more. */
  #left(): number {
    return this.#lostAt === null ? Infinity : this.#lostAt + GIVE_UP_AFTER - this.#clock();
  }

  #retry(): void {
    const left = this.#left();
    if (left <= 0) {
      this.#refuse(new RequestError({ code: "offline" }), "lost");
      return;
    }
    const delays = this.#options.delays ?? DELAYS;
    const ceiling = delays[Math.min(this.#attempt, delays.length - 1)] ?? 0;
    const wait = this.#retryIn ?? Math.min(left, ceiling * (this.#options.random ?? Math.random)());
    this.#retryIn = null;
    this.#attempt += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#dial(), wait);
  }

  /** The first hello failed: `open` says so. Later: the connection is over. */
  #refuse(error: unknown, ending: Ending): void {
    const first = this.#first;
    this.#first = null;
    this.#end(ending, first !== null);
    first?.reject(error);
  }

  #end(ending: Ending, quietly = false): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#deadline);
    clearInterval(this.#pulse);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    for (const { reject } of this.#pending.values()) reject(new RequestError({ code: "closed" }));
    this.#pending.clear();
    if (!quietly) this.#options.events.onEnd(ending);
  }

  #clock(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }
}
