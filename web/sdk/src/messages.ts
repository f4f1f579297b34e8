// The wire protocol as types: what docs/reference/protocol.md says, field by field. No behaviour.

export type Role = "host" | "cohost" | "presenter" | "participant" | "observer";
export type Source = "mic" | "camera" | "screen";
export type SlotKind = "audio" | "video" | "screen";
export type RoomState =
  | "draft" | "scheduled" | "lobby_open" | "live" | "ending" | "ended"
  | "archived" | "cancelled" | "expired";

/** Somebody who is in the meeting, as others see them. */
export interface Participant {
  id: string;
  identity_kind: "staff" | "person" | "guest" | "service";
  name: string;
  role: Role;
  state: string;
  /** Signed-in staff; a guest's name cannot imitate the mark. */
  verified: boolean;
  tracks: Record<Source, boolean>;
  track_ids: Partial<Record<Source, string>>;
  /** Place in the order of raised hands. */
  hand: number | null;
  joined_at: string | null;
  rev: number;
}

export type Waits = "verdict" | "start" | "seat";

/** Somebody who waits, as hosts see them. */
export interface Waiter {
  participant: string;
  name: string;
  since: string;
  verified: boolean;
  identity_kind: Participant["identity_kind"];
  /** For a host's word, the first host, or a free seat. */
  waits: Waits;
  was?: string | null;
}

export interface Room {
  id: string;
  code: string;
  title: string;
  type: "consultation" | "training";
  state: RoomState;
  starts_at: string | null;
  ends_at: string | null;
  started_at: string | null;
  locked: boolean;
  features: Record<string, boolean>;
  policy: Record<string, unknown>;
  session_no: number;
  host_presence: string;
  grace_until?: string | null;
  /** While the end can be undone. */
  ending_until?: string | null;
}

export interface ChatMessage {
  id: string;
  no: number;
  from: string;
  name: string;
  body: string;
  at: string;
  to: string | null;
  /** `deleted`: its place is kept, its text is gone. Left out: as it was sent. */
  state?: "stored" | "edited" | "deleted";
}

/** What somebody with a good link may know before entering. */
export interface RoomSummary {
  title: string;
  type: "consultation" | "training";
  state: RoomState;
  starts_at: string | null;
  ends_at: string | null;
  host_name: string | null;
}

/** What `POST /m/{code}/join` answers. */
export interface JoinAnswer {
  token: string;
  expires_in: number;
  ws: string;
  device: string;
  room: RoomSummary;
  link: { role: Role; lobby: boolean; display_name: string | null };
}

export interface HelloReply {
  participant: string;
  role: Role;
  state: string;
  epoch: number;
  resume: { secret: string };
  resumed: boolean;
  limits: Record<string, number>;
  now: string;
}

/** What a waiting person is told: the verdict, the place, whether a host is there. */
export interface LobbyState {
  verdict: "waiting" | "admitted" | "denied";
  place?: number | null;
  message?: string | null;
  waits?: Waits | null;
  host?: string | null;
  starts_at?: string | null;
}

/** A line through the door. */
export interface LobbyMessage {
  id: string;
  from: string;
  name: string;
  text: string;
  at: string;
  to?: string | null;
  /** The author, when it is the one who waits. */
  waiter?: string | null;
}

/** The snapshot event for somebody who is in. */
export interface Snapshot {
  room: Room;
  me: Participant;
  can: string[];
  publish: Record<Source, boolean>;
  roster: Participant[];
  count: number;
  chat: ChatMessage[];
  hands: string[];
  speakers: string[];
  lobby?: { ver: number; list: Waiter[]; messages?: LobbyMessage[] } | null;
  positions: Record<string, [number, number]>;
}

/** The snapshot event for somebody who waits: the sign on the door, no roster. */
export interface WaitingSnapshot extends LobbyState {
  room: Pick<Room, "title" | "type" | "state" | "starts_at" | "ends_at" | "host_presence">;
  me: Participant;
  messages: LobbyMessage[];
  positions: Record<string, [number, number]>;
}

export interface EventFrame {
  st: string;
  ep: number;
  s?: number;
  t: string;
  at: string;
  by: string | null;
  p: unknown;
}

export interface WireError {
  code: string;
  detail?: string;
  retry_ms?: number;
  [extra: string]: unknown;
}

export interface ReplyFrame {
  re: string;
  ok: boolean;
  p?: unknown;
  err?: WireError;
  committed?: boolean;
  seq?: number;
}

/** Refusals that pass by themselves: of the server, of a proxy before it, and none for lack of a way. */
export const PASSING = /^(offline|rate|unavailable|internal|draining|http_5\d\d)$/;

/** A refusal by the server, or by the page's own limits; `code` is of the protocol's closed list. */
export class RequestError extends Error {
  readonly code: string;
  readonly retryMs: number | undefined;
  readonly extras: WireError;

  constructor(error: WireError) {
    super(error.detail ?? error.code);
    this.name = "RequestError";
    this.code = error.code;
    this.retryMs = error.retry_ms;
    this.extras = error;
  }
}
