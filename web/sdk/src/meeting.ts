// A meeting as a page or a script uses it: one object from the link to the end.
//
//   const meeting = new Meeting(invitation);
//   await meeting.lookUp();          // who invites, is it open
//   await meeting.local.set("mic", true);
//   await meeting.join("Jane Doe");  // waits for admission if the link says so
//
// Everything that changes is a cell. Rules live on the server; this folds what it says.

import { type Cell, cell } from "./cell";
import { Connection, type Ending } from "./connection";
import { deviceKey, type Invitation, requestToken } from "./invitation";
import { type DeviceChange, LocalMedia, wished } from "./local";
import { Media, type SlotLabel } from "./media";
import {
  type ChatMessage, type EventFrame, type HelloReply, type JoinAnswer, type LobbyMessage, type LobbyState,
  type Participant, PASSING, RequestError, type Role, type Room, type Snapshot, type Source, type WaitingSnapshot, type Waits,
} from "./messages";
import {
  applyChat, applyLine, applyLobby, applyRoster, changeChat, EMPTY_LOBBY, type Lobby, type LobbyDelta, peopleIn, type Roster, type RosterDelta, rosterOf,
} from "./roster";
import type { Binding, Shown } from "./slots";
import { Speaker } from "./speaker";

/** What the page can be; the words are those of `data-room-state`. */
export type PageState =
  | "boot" | "unsupported" | "unknown" | "early" | "cancelled" | "prejoin" | "waiting" | "connecting"
  | "live" | "reconnecting" | "superseded" | "denied" | "removed" | "full" | "ended" | "left" | "offline";

export interface Waiting {
  place: number | null;
  message: string | null;
  hostPresent: boolean;
  /** The meeting goes on, or a host was here: one who isn't now has not merely not come yet. */
  begun: boolean;
  startsAt: string | null;
  /** It starts at another time than when this person came to wait. */
  moved: boolean;
  /** For what: a host's word, the first host, or a free seat. */
  waits: Waits | null;
}

/** Whom an admission let in, and for whom there is no seat yet: they come in when one is free. */
export interface Admission {
  admitted: string[];
  waiting_for_seat: string[];
}

/** Things that happen once, for a toast or an announcement. */
export type Notice =
  | { kind: "muted"; source: Source; by: string | null }
  | { kind: "unmute_request"; by: string }
  | DeviceChange
  | { kind: "refused"; source: Source; error: RequestError }
  | { kind: "lobby_message"; name: string; text: string };

/** A slot as the page draws it: frames by size, in device pixels. */
export interface SlotSize {
  slot: string;
  w: number;
  h: number;
}

export interface View {
  layout: "grid" | "speaker";
  page: number;
  pins: string[];
  slots: SlotSize[];
}

export interface MeetingOptions {
  client?: string;
  storage?: Pick<Storage, "getItem" | "setItem"> | null;
  codecs?: readonly string[];
}

const TERMINAL_STATES: Record<Ending, PageState> = {
  unauthorized: "unknown",
  denied: "denied",
  locked: "denied",
  removed: "removed",
  superseded: "superseded",
  ended: "ended",
  cancelled: "cancelled",
  left: "left",
  lost: "offline",
};

const REFUSALS: Record<string, PageState> = {
  early: "early", cancelled: "cancelled", ended: "ended", full: "full",
  denied: "denied", forbidden: "denied", closed: "denied", removed: "removed", superseded: "superseded",
};
const TRY_AGAIN_AFTER = 1000;
/** A token this near to its end is left alone: opening the socket takes its time, too. */
const TOKEN_MARGIN = 10_000;
const SOURCES = ["mic", "camera", "screen"] as const;

export class Meeting {
  readonly state: Cell<PageState> = cell<PageState>("boot");
  readonly invitation: Invitation;
  /** What the link says, before joining. */
  readonly info = cell<JoinAnswer | null>(null);
  /**
   * Set beside the states `early` (`opens_at` and, of an appointment, `room`, a `RoomSummary`), `ended` and `removed` (`reason`), `denied` when not
   * somebody but the lock kept us out (`code` is `closed`), and `prejoin` when the server refused the
   * name (`need` is `name`).
   */
  readonly detail = cell<Record<string, unknown>>({});
  readonly room = cell<Room | null>(null);
  readonly me = cell<Participant | null>(null);
  readonly can = cell<ReadonlySet<string>>(new Set());
  readonly roster = cell<Roster>(new Map());
  /** People in the room; more than the roster where that is not shown in full. */
  readonly count = cell(0);
  readonly lobby = cell<Lobby>(EMPTY_LOBBY);
  readonly waiting = cell<Waiting>({ place: null, message: null, hostPresent: false, begun: false, startsAt: null, moved: false, waits: null });
  readonly chat = cell<readonly ChatMessage[]>([]);
  readonly hands = cell<readonly string[]>([]);
  readonly speakers = cell<readonly string[]>([]);
  /** Changes when a slot's owner or size changes; frames count on without telling. */
  readonly slots = cell<ReadonlyMap<string, Shown>>(new Map());
  /** The receive slots by the mid of their section, once negotiated. */
  readonly slotList = cell<readonly SlotLabel[]>([]);
  readonly signalingLost = cell(false);
  readonly mediaLost = cell(false);
  /**
   * While the end can be undone: when it takes effect, by `performance.now()`. The state is `ended`
   * already, the devices are off and nothing is heard; an undo brings the meeting back.
   */
  readonly endsAt = cell<number | null>(null);
  readonly local = new LocalMedia();
  /** Where the sound of the attached elements comes out. */
  readonly speaker = new Speaker(this.local.devices);

  onNotice: (notice: Notice) => void = () => {};
  /** Every frame of a slot; for counters that must not re-render anything. */
  onFrame: (shown: Shown) => void = () => {};

  readonly #options: MeetingOptions;
  readonly #device: string;
  #connection: Connection | null = null;
  /** Counts joins and leaves: what is asked for one is of no use to a later one. */
  #attempts = 0;
  #media: Media | null = null;
  #known = new Map<string, { who: string | null; source: Source | null; width: number; height: number }>();
  /** Elements outlive a media transport: a new one plays in the same places. */
  readonly #elements = new Map<string, HTMLMediaElement>();
  /** A token that was asked for and not spent, and until when it can be. */
  #fresh: { token: string; until: number } | null = null;
  #view: View | null = null;
  /** What was on when the end began, for an undo. */
  #wasOn: readonly Source[] = [];
  #clockOffset = 0;

  constructor(invitation: Invitation, options: MeetingOptions = {}) {
    this.invitation = invitation;
    this.#options = options;
    this.#device = deviceKey(options.storage);
    this.local.onTrack = (source, track) => void this.#media?.setTrack(source, track);
    this.local.onEnded = (source) => void this.#tell(source, false).catch(() => {});
    this.local.onStarted = (source) => void this.#insist(source);
    this.local.onDevice = this.speaker.onDevice = (change) => this.onNotice(change);
  }

  /**
   * Asks the server about the link. The token is kept for a join that follows soon. Who looks again
   * at a room that is not open yet, or full, stays there when only the way to the server fails.
   */
  async lookUp(): Promise<void> {
    if (!this.#supported()) return;
    try {
      await this.#ask();
      this.state.set("prejoin");
    } catch (error) {
      const again = ["early", "full"].includes(this.state.get());
      if (!(again && error instanceof RequestError && PASSING.test(error.code))) this.#refused(error);
    }
  }

  /**
   * Joins under this name; settles when the server has let us in, or into the waiting room. What
   * hinders it becomes the state, with or without a `lookUp` before; nothing is thrown.
   */
  async join(name: string): Promise<void> {
    const attempt = (this.#attempts += 1);
    this.#connection?.close();
    if (!this.#supported()) return;
    this.state.set("connecting");
    this.detail.set({});
    let info: JoinAnswer;
    try {
      info = this.info.get() ?? (await this.#ask());
    } catch (error) {
      if (attempt === this.#attempts) this.#refused(error);
      return;
    }
    if (attempt !== this.#attempts) return;
    const connection = new Connection({
      url: info.ws,
      token: () => this.#token(),
      name,
      client: this.#options.client ?? "sunup-sdk",
      events: {
        onWelcome: (reply) => this.#welcomed(reply),
        onEvent: (event) => this.#event(event),
        onLost: (lost) => {
          this.signalingLost.set(lost);
          if (lost) this.speakers.set([]); // nobody tells any more; a resume and a snapshot do
        },
        onEnd: (ending) => this.#over(ending),
      },
    });
    this.#connection = connection;
    try {
      await connection.open();
    } catch (error) {
      if (this.#connection !== connection) return;
      if (isNameRefused(error)) this.#nameRefused(error);
      else this.#refused(error);
    }
  }

  /** Leaves on purpose. */
  async leave(): Promise<void> {
    const attempt = (this.#attempts += 1);
    const connection = this.#connection;
    if (connection) await Promise.race([connection.request("leave").catch(() => {}), pause(1000)]);
    connection?.close();
    if (attempt === this.#attempts) this.#over("left");
  }

  /**
   * Turns an own source on or off. Off acts on the device at once, whatever the network does; on
   * asks the server first, because the right may be missing.
   *
   * @throws DeviceError the device did not start
   * @throws RequestError `forbidden` the right is missing
   */
  async setSource(source: Source, on: boolean): Promise<void> {
    if (!on) {
      await this.local.set(source, false);
      await this.#tell(source, false);
      return;
    }
    try {
      await this.local.set(source, true);
    } catch (error) {
      this.#tell(source, false).catch(() => {}); // it may have been said already, on entering
      throw error;
    }
    if (!this.local.sources[source].get().on) return; // turned off while it started
    try {
      await this.#tell(source, true);
    } catch (error) {
      await this.local.set(source, false);
      throw error;
    }
  }

  /** A request of the protocol, such as `chat.send`. */
  request<T = Record<string, unknown>>(method: string, params: object = {}): Promise<T> {
    const connection = this.#connection;
    if (!connection) return Promise.reject(new RequestError({ code: "closed" }));
    return connection.request<T>(method, params);
  }

  admit(participant: string): Promise<Admission> {
    return decided(this.request("lobby.admit", { ids: [participant] }), "admitted", { admitted: [participant], waiting_for_seat: [] });
  }

  /** Admits those of the list as it is shown now, nobody who came later. */
  admitAll(): Promise<Admission> {
    return this.request("lobby.admit", { all: true, ver: this.lobby.get().ver });
  }

  deny(participant: string): Promise<unknown> {
    return decided(this.request("lobby.deny", { ids: [participant] }), "denied", {});
  }

  sendChat(body: string, to?: string): Promise<unknown> {
    return this.request("chat.send", to ? { body, to } : { body });
  }

  endForAll(graceSeconds: number): Promise<unknown> {
    return this.request("room.end", { grace_s: graceSeconds });
  }

  undoEnd(): Promise<unknown> {
    return this.request("room.end.undo");
  }

  setRole(who: string, role: Role): Promise<unknown> {
    return this.request("role.set", { who, role });
  }

  /** What the page shows, so that the server can fill the slots. */
  async setView(view: View): Promise<void> {
    this.#view = view;
    if (this.state.get() === "live") await this.request("view.set", view);
  }

  /** Offers more video slots when a layout needs them. */
  async grow(videoSlots: number): Promise<void> {
    await this.#media?.grow(videoSlots);
  }

  /** The server's time now, in milliseconds since 1970: people's clocks are wrong. */
  serverNow(): number {
    return Date.now() + this.#clockOffset;
  }

  /** Plays a slot in this element. */
  attach(slot: string, element: HTMLMediaElement): void {
    if (element.tagName === "AUDIO") this.speaker.add(element, this.#elements.get(slot));
    this.#elements.set(slot, element);
    this.#media?.attach(slot, element);
  }

  /** The network came back: try now. */
  hurry(): void {
    this.#connection?.hurry();
  }

  #supported(): boolean {
    const supported = typeof RTCPeerConnection !== "undefined";
    if (!supported) this.state.set("unsupported");
    return supported;
  }

  /** Trades the link for an answer, whose token waits to be spent. */
  async #ask(): Promise<JoinAnswer> {
    const answer = await requestToken(this.invitation, this.#device);
    this.info.set(answer);
    this.#fresh = { token: answer.token, until: performance.now() + answer.expires_in * 1000 - TOKEN_MARGIN };
    return answer;
  }

  /** A token that was not spent yet and is good for long enough to be. */
  async #token(): Promise<string> {
    const fresh = this.#fresh;
    this.#fresh = null;
    if (fresh && performance.now() < fresh.until) return fresh.token;
    const { token } = await this.#ask();
    this.#fresh = null;
    return token;
  }

  #refused(error: unknown): void {
    const code = error instanceof RequestError ? error.code : "offline";
    this.detail.set(error instanceof RequestError ? error.extras : {});
    this.state.set(PASSING.test(code) ? "offline" : (REFUSALS[code] ?? "unknown"));
  }

  /** Another name may do: back to where it is entered. */
  #nameRefused(error: RequestError): void {
    this.detail.set({ ...error.extras, need: "name" });
    this.state.set("prejoin");
  }

  #welcomed(reply: HelloReply): void {
    this.#clockOffset = Date.parse(reply.now) - Date.now() || 0;
    // Not resumed: the server knows nothing of us any more (a restart, say). What we have is made
    // anew from the snapshot that follows, and so is the media transport.
    if (!reply.resumed) this.#dropMedia();
  }

  #dropMedia(): void {
    this.#media?.close();
    this.#media = null;
    this.#known.clear();
    this.slots.set(new Map());
    this.mediaLost.set(false);
  }

  #event(event: EventFrame): void {
    const handler = this.#handlers[event.t];
    handler?.(event.p as never, event);
  }

  readonly #handlers: Record<string, (body: never, event: EventFrame) => void> = {
    snapshot: (body: Snapshot | WaitingSnapshot) => ("roster" in body ? this.#inside(body) : this.#outside(body)),
    "roster.delta": (body: RosterDelta) => {
      this.roster.update((roster) => applyRoster(roster, body));
      if (this.room.get()?.policy["roster"] !== "count") this.count.set(peopleIn(this.roster.get()));
      const me = this.me.get();
      const mine = me && this.roster.get().get(me.id);
      if (mine) this.me.set(mine);
    },
    "roster.count": (body: { count: number }) => this.count.set(body.count),
    "room.changed": (body: { patch: Partial<Room> }) => this.room.update((room) => room && { ...room, ...body.patch }),
    "room.state": (body: { state: Room["state"]; ends_in_ms?: number | null }) => {
      this.room.update((room) => room && { ...room, state: body.state });
      if (body.state === "ending") this.#endBegins(body.ends_in_ms ?? 0);
      else if (this.endsAt.get() !== null) this.#endUndone(body.state);
    },
    "room.ended": (body: { reason: string; by: string | null }) => this.detail.set({ ...body, name: this.#nameOf(body.by) }),
    ended: (body: { reason: string }) => this.detail.update((detail) => ({ ...body, ...detail })),
    removed: (body: { reason: string }) => this.detail.set(body),
    "host.presence": (body: { state: string }) => this.room.update((room) => room && { ...room, host_presence: body.state }),
    "lobby.list": (body: LobbyDelta) => this.lobby.update((lobby) => applyLobby(lobby, body)),
    "lobby.state": (body: LobbyState) => this.#atTheDoor(body),
    "lobby.message": (body: LobbyMessage) => {
      if (body.from === this.me.get()?.id) return; // the writer knows
      if (body.waiter) this.lobby.update((lobby) => applyLine(lobby, body));
      if (this.state.get() === "waiting") this.waiting.update((now) => ({ ...now, message: `${body.name}: ${body.text}` }));
      this.onNotice({ kind: "lobby_message", name: body.name, text: body.text });
    },
    "chat.msg": (body: ChatMessage) => this.chat.update((chat) => applyChat(chat, { ...body, to: body.to ?? null })),
    "chat.edited": (body: { id: string; body: string }) =>
      this.chat.update((chat) => changeChat(chat, body.id, { body: body.body, state: "edited" })),
    "chat.deleted": (body: { id: string }) => this.chat.update((chat) => changeChat(chat, body.id, { body: "", state: "deleted" })),
    hands: (body: { order: string[] }) => this.hands.set(body.order),
    speakers: (body: { list: string[] }) => this.speakers.set(body.list),
    "perm.changed": (body: { role: Role; can: string[] }) => {
      this.can.set(new Set(body.can));
      this.me.update((me) => me && { ...me, role: body.role });
    },
    muted: (body: { source: Source; by: string | null }) => {
      void this.local.set(body.source, false);
      this.onNotice({ kind: "muted", source: body.source, by: this.#nameOf(body.by) });
    },
    "unmute.request": (body: { by: string }) => this.onNotice({ kind: "unmute_request", by: this.#nameOf(body.by) ?? "" }),
    "slot.bind": (body: Binding) => this.#media?.bind(body),
  };

  #outside(snapshot: WaitingSnapshot): void {
    this.#dropMedia(); // somebody who was in may have been sent back to the door
    this.me.set(snapshot.me);
    this.roster.set(new Map());
    const { host_presence: host, starts_at: startsAt, state } = snapshot.room;
    const begun = state === "live" || state === "ending";
    this.waiting.set({ place: null, message: null, hostPresent: host === "present", begun, startsAt, moved: false, waits: null });
    this.#atTheDoor(snapshot);
    const last = snapshot.messages.at(-1);
    if (last && last.from !== snapshot.me.id) this.waiting.update((now) => ({ ...now, message: `${last.name}: ${last.text}` }));
    this.state.set("waiting");
  }

  #atTheDoor(sign: LobbyState): void {
    if (sign.verdict === "admitted") this.state.set("connecting");
    this.waiting.update((now) => ({
      place: sign.place ?? null,
      message: sign.message ?? now.message,
      hostPresent: sign.host === undefined || sign.host === null ? now.hostPresent : sign.host === "present",
      begun: now.begun || sign.host === "present" || sign.host === "grace",
      startsAt: sign.starts_at ?? now.startsAt,
      moved: now.moved || Boolean(sign.starts_at && now.startsAt && Date.parse(sign.starts_at) !== Date.parse(now.startsAt)),
      waits: sign.waits ?? null,
    }));
  }

  #inside(snapshot: Snapshot): void {
    this.room.set(snapshot.room);
    this.me.set(snapshot.me);
    this.roster.set(rosterOf(snapshot));
    this.count.set(snapshot.count);
    this.can.set(new Set(snapshot.can));
    this.lobby.set(snapshot.lobby ? { ...EMPTY_LOBBY, ...snapshot.lobby } : EMPTY_LOBBY);
    this.chat.set(snapshot.chat.reduce<readonly ChatMessage[]>(applyChat, []));
    this.hands.set(snapshot.hands);
    this.speakers.set(snapshot.speakers);
    const until = snapshot.room.state === "ending" ? snapshot.room.ending_until : null;
    if (until) this.#endBegins(Date.parse(until) - this.serverNow());
    else if (this.endsAt.get() !== null) this.#endUndone("live");
    else void this.#enter();
  }

  #endBegins(milliseconds: number): void {
    // A snapshot may tell of the end once more, when all is off already.
    if (this.endsAt.get() === null) this.#wasOn = SOURCES.filter((source) => wished(this.local.sources[source].get()));
    this.#dropMedia();
    this.local.stop();
    this.endsAt.set(performance.now() + Math.max(0, milliseconds));
    this.state.set("ended");
  }

  /** The end was taken back, or has come. */
  #endUndone(state: Room["state"]): void {
    this.endsAt.set(null);
    if (state !== "live") return;
    // A shared screen needs a new choice by the person; the browser would refuse it here.
    const starts = this.#wasOn.filter((source) => source !== "screen").map((source) => this.local.set(source, true));
    void Promise.allSettled(starts).then(() => this.#enter());
  }

  /** Admitted: only now is a peer connection made. */
  async #enter(): Promise<void> {
    this.state.set("live");
    if (this.#media) return;
    const media = new Media({
      negotiate: (offer) => this.request("media.offer", offer),
      onSlot: (shown) => this.#slot(shown),
      onSlots: (slots, anew) => this.#slotsOpened(slots, anew),
      onLost: (lost) => this.mediaLost.set(lost),
      ...(this.#options.codecs ? { codecs: this.#options.codecs } : {}),
    });
    this.#media = media;
    for (const [slot, element] of this.#elements) media.attach(slot, element);
    for (const source of SOURCES) {
      const { on, track } = this.local.sources[source].get();
      if (track) await media.setTrack(source, track);
      if (on) void this.#insist(source);
    }
    for (let attempt = 1; this.#media === media; attempt += 1) {
      try {
        await media.start();
        return;
      } catch {
        // The socket was lost under it, or the server is busy: until the media is there, go on.
        await pause(Math.min(attempt * TRY_AGAIN_AFTER, 5 * TRY_AGAIN_AFTER));
      }
    }
  }

  /** Says that a source is on, for as long as the person wants it and only a passing reason hinders. */
  async #insist(source: Source): Promise<void> {
    const { on } = this.local.sources[source].get();
    if (!on || this.state.get() !== "live") return;
    try {
      await this.#tell(source, true);
    } catch (error) {
      const refusal = error instanceof RequestError ? error : new RequestError({ code: "internal" });
      if (refusal.code === "closed" || refusal.code === "stale_epoch") return;
      if (refusal.code !== "forbidden") {
        await pause(refusal.retryMs || TRY_AGAIN_AFTER);
        return this.#insist(source);
      }
      await this.local.set(source, false);
      this.onNotice({ kind: "refused", source, error: refusal });
    }
  }

  async #tell(source: Source, on: boolean): Promise<void> {
    if (this.state.get() !== "live") return; // pre-join and waiting: said on entering
    await this.request("track.set", { source, on });
  }

  #slot(shown: Shown): void {
    this.onFrame(shown);
    const known = this.#known.get(shown.slot);
    const same = known && known.who === shown.who && known.source === shown.source
      && known.width === shown.width && known.height === shown.height;
    if (same) return;
    this.#known.set(shown.slot, { who: shown.who, source: shown.source, width: shown.width, height: shown.height });
    this.slots.update((slots) => new Map(slots).set(shown.slot, { ...shown }));
  }

  #slotsOpened(slots: readonly SlotLabel[], anew: boolean): void {
    if (anew) {
      this.#known.clear();
      this.slots.set(new Map());
    }
    this.slotList.set(slots);
    // A new transport on the server has not seen what we show.
    if (this.#view) this.setView(this.#view).catch(() => {});
  }

  #over(ending: Ending): void {
    this.#dropMedia();
    this.#connection = null;
    this.#elements.clear();
    this.speaker.clear();
    this.slotList.set([]);
    this.local.stop();
    this.signalingLost.set(false);
    this.endsAt.set(null);
    if (ending === "lost") this.detail.set({ lost: true });
    if (ending === "locked") this.detail.set({ code: "closed" });
    // One close code stands for both; the event before it has said which.
    const cancelled = ending === "ended" && this.detail.get()["reason"] === "cancelled";
    this.state.set(TERMINAL_STATES[cancelled ? "cancelled" : ending]);
  }

  #nameOf(participant: string | null): string | null {
    return (participant && this.roster.get().get(participant)?.name) ?? null;
  }
}

/** Of what a hello carries, the person chose the name alone: what does not fit is the name. */
function isNameRefused(error: unknown): error is RequestError {
  return error instanceof RequestError && (error.code === "bad_request" || error.code === "too_large");
}

/** Settles well, too, when somebody had decided so before: a second click, or another host. */
async function decided<T>(request: Promise<T>, verdict: string, before: T): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof RequestError && error.code === "already_decided" && error.extras["verdict"] === verdict) return before;
    throw error;
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
