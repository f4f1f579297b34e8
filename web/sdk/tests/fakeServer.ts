// A meeting of the SDK over a WebSocket whose other end is the test.
import { afterEach, beforeEach, vi } from "vitest";
import { Meeting } from "../src/index";
import { FakePeerConnection } from "./fakePeerConnection";

/** The server's end of the only WebSocket. */
export class Server extends EventTarget {
  static current: Server;
  readonly readyState = 1;
  readonly requests: { id: string; m: string; p: Record<string, unknown> }[] = [];
  /** What is refused, by method. */
  static refusals: Record<string, object> = {};

  constructor() {
    super();
    Server.current = this;
    queueMicrotask(() => this.dispatchEvent(new Event("open")));
  }

  send(text: string): void {
    const frame = JSON.parse(text) as { id: string; m: string; p: Record<string, unknown> };
    this.requests.push(frame);
    const refusal = Server.refusals[frame.m];
    if (refusal) this.say({ re: frame.id, ok: false, err: refusal });
    else if (frame.m === "hello") this.say({ re: "hello", ok: true, p: { resume: { secret: "r" }, resumed: false, now: "2026-11-25T10:00:00.000Z" } });
    else if (frame.m === "media.offer") this.say({ re: frame.id, ok: true, p: { sdp: "v=0" } });
    else this.say({ re: frame.id, ok: true, p: {} });
  }

  say(frame: object): void {
    queueMicrotask(() => this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) })));
  }

  tell(t: string, p: object): void {
    this.say({ st: "self:p1", ep: 1, t, at: "", by: null, p });
  }

  close(code: number): void {
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }

  asked(method: string): Record<string, unknown>[] {
    return this.requests.filter(({ m }) => m === method).map(({ p }) => p);
  }
}

export const me = { id: "p1", name: "Jane", role: "participant", state: "active", tracks: {}, track_ids: {}, hand: null, rev: 1 };
export const room = { title: "Roof", state: "live", host_presence: "present", starts_at: null, policy: { roster: "full" } };
export const inside = { room, me, can: ["chat"], publish: {}, roster: [me], count: 1, chat: [], hands: [], speakers: [], positions: {} };
export const outside = { room, me: { ...me, state: "waiting" }, verdict: "waiting", place: 2, messages: [], positions: {} };
export const info = { token: "t", expires_in: 60, ws: "ws://meet.test/ws", room: { title: "Roof" }, link: { lobby: true } };

export const settle = () => vi.advanceTimersByTimeAsync(0);

/** Every test of the file has a server of its own, and time that it moves itself. */
export function withServer(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    FakePeerConnection.made = [];
    Server.refusals = {};
    vi.stubGlobal("WebSocket", Server);
    vi.stubGlobal("RTCPeerConnection", FakePeerConnection);
    vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => null });
    vi.stubGlobal("CompressionStream", undefined);
    vi.stubGlobal("fetch", async () => Response.json(info));
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
}

export const made = () => new Meeting({ origin: "https://meet.test", code: "abc", secret: "s" }, { storage: null });

export async function joined(snapshot: object): Promise<Meeting> {
  const meeting = made();
  await meeting.lookUp();
  await meeting.join("Jane");
  Server.current.tell("snapshot", snapshot);
  await settle();
  return meeting;
}
