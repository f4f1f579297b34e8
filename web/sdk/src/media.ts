// One peer connection with fixed slots. The client is always the offerer; after the first answer,
// people join, leave, speak and turn pages without another SDP. Only a larger grid, an ICE restart
// or a lost transport negotiates again. The recipe and its traps are in
// docs/reference/protocol.md, "Media".

import { HEALTH_EVERY, Health } from "./health";
import { pack, unpack, type WireDescription } from "./sdp";
import { type Binding, type Shown, SlotView } from "./slots";
import type { SlotKind, Source } from "./messages";

const AUDIO_SLOTS = 3;
export const VIDEO_SLOTS = 8;
export const MOST_VIDEO_SLOTS = 25;

/** Header extensions worth their bytes in every section. */
const EXTENSIONS = ["sdes:mid", "rtp-stream-id", "repaired-rtp-stream-id", "abs-send-time", "transport-wide-cc", "ssrc-audio-level"];

/** Milliseconds until more slots are offered again that were refused. */
const OFFER_AGAIN = 2000;
const RESTART_PATIENCE = 3000;

export interface MediaOptions {
  negotiate(offer: WireDescription & { tracks: Label[]; slots: SlotLabel[] }): Promise<{ sdp?: string; sdp_z?: string }>;
  onSlot(shown: Shown): void;
  /** The receive slots, after each negotiation; nothing is in them after a new connection. */
  onSlots(slots: readonly SlotLabel[], anew: boolean): void;
  /** Media stopped coming (true) or comes again (false). */
  onLost(lost: boolean): void;
  /** Video codecs in order of preference; the first is what is sent. */
  codecs?: readonly string[];
}

interface Label {
  mid: string;
  source: Source;
}

/** A receive slot, by the mid of its section. */
export interface SlotLabel {
  mid: string;
  kind: SlotKind;
}

interface Section {
  transceiver: RTCRtpTransceiver;
  kind: SlotKind;
}

export class Media {
  readonly #options: MediaOptions;
  readonly #tracks = new Map<Source, MediaStreamTrack>();
  readonly #views = new Map<string, SlotView>();
  readonly #elements = new Map<string, HTMLMediaElement>();
  readonly #early = new Map<string, Binding>();
  #connection: RTCPeerConnection | null = null;
  #senders = new Map<Source, RTCRtpTransceiver>();
  #slots: Section[] = [];
  #videoSlots = VIDEO_SLOTS;
  #busy: Promise<void> = Promise.resolve();
  #repairing = false;
  #closed = false;
  #timer: ReturnType<typeof setInterval> | undefined;
  #health = new Health();
  #restartedAt = Number.NEGATIVE_INFINITY;
  #lost = false;

  constructor(options: MediaOptions) {
    this.#options = options;
  }

  /** Connects, or connects anew from nothing; tracks and elements are kept. */
  start(): Promise<void> {
    return this.#alone(async () => {
      this.#drop();
      const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
      this.#connection = connection;
      this.#addSenders(connection);
      this.#addSlots(connection, "audio", AUDIO_SLOTS);
      this.#addSlots(connection, "video", this.#videoSlots);
      this.#addSlots(connection, "screen", 1);
      connection.onconnectionstatechange = () => this.#stateChanged(connection);
      try {
        for (const [source, track] of this.#tracks) await this.#put(source, track);
        await this.#negotiate(connection, {});
      } catch (error) {
        if (connection === this.#connection) this.#report(true);
        throw error;
      }
      if (connection === this.#connection) this.#watch();
    });
  }

  /** New ICE credentials on the same keys: the path to the server is dead, the session is not. */
  restart(): Promise<void> {
    return this.#alone(async () => {
      const connection = this.#connection;
      if (connection) await this.#negotiate(connection, { iceRestart: true });
    });
  }

  /** Offers more video slots, in one batch; never fewer. What is refused is offered again later. */
  grow(videoSlots: number): Promise<void> {
    const wanted = Math.min(videoSlots, MOST_VIDEO_SLOTS);
    if (wanted <= this.#videoSlots) return Promise.resolve();
    const more = wanted - this.#videoSlots;
    this.#videoSlots = wanted;
    return this.#alone(async () => {
      const connection = this.#connection;
      if (!connection) return;
      this.#addSlots(connection, "video", more);
      await this.#offerUntilTaken(connection, OFFER_AGAIN);
    });
  }

  /** Sends this track as `source` from now on; null sends nothing. No negotiation is needed. */
  async setTrack(source: Source, track: MediaStreamTrack | null): Promise<void> {
    if (track) this.#tracks.set(source, track);
    else this.#tracks.delete(source);
    await this.#put(source, track);
  }

  /** A `slot.bind` event. */
  bind(binding: Binding): void {
    const view = this.#views.get(binding.slot);
    if (view) view.bind(binding);
    else this.#early.set(binding.slot, binding); // before the answer was applied
  }

  /** Plays a slot in this element from now on, also after a new connection. */
  attach(slot: string, element: HTMLMediaElement): void {
    this.#elements.set(slot, element);
    const section = this.#slots.find(({ transceiver }) => transceiver.mid === slot);
    if (section) this.#play(section);
  }

  /** For good: what is under way or waits for its turn does nothing more. */
  close(): void {
    this.#closed = true;
    this.#drop();
    this.#elements.clear();
    this.#tracks.clear();
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const result = this.#busy.then(() => (this.#closed ? undefined : work()));
    this.#busy = result.catch(() => {});
    return result;
  }

  #drop(): void {
    clearInterval(this.#timer);
    this.#connection?.close();
    this.#connection = null;
    this.#senders = new Map();
    this.#slots = [];
    this.#views.clear();
    this.#early.clear();
    this.#health = new Health();
  }

  #addSenders(connection: RTCPeerConnection): void {
    // Largest layer first: browsers drop the last ones of the list when the camera is small.
    const layers: RTCRtpEncodingParameters[] = [
      { rid: "f", maxBitrate: 1_500_000 },
      { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
      { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
    ];
    const direction = "sendonly" as const;
    this.#senders.set("mic", connection.addTransceiver("audio", { direction }));
    this.#senders.set("camera", connection.addTransceiver("video", { direction, sendEncodings: layers }));
    this.#senders.set("screen", connection.addTransceiver("video", { direction, sendEncodings: [{ maxBitrate: 2_500_000 }] }));
    for (const transceiver of this.#senders.values()) this.#trim(transceiver);
  }

  #addSlots(connection: RTCPeerConnection, kind: SlotKind, count: number): void {
    for (let index = 0; index < count; index += 1) {
      const transceiver = connection.addTransceiver(kind === "audio" ? "audio" : "video", { direction: "recvonly" });
      this.#trim(transceiver);
      this.#slots.push({ transceiver, kind });
    }
  }

  /** Keeps the offer small: only the codecs and extensions that the room uses. */
  #trim(transceiver: RTCRtpTransceiver): void {
    const kind = transceiver.receiver.track.kind;
    const wanted = kind === "audio" ? ["opus"] : (this.#options.codecs ?? ["vp8"]);
    const known = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
    const named = (name: string) => known.filter((codec) => codec.mimeType.toLowerCase().endsWith(`/${name}`));
    const chosen = wanted.flatMap((name) => (name === "h264" ? named(name).filter(baseline) : named(name)));
    if (chosen.length > 0) transceiver.setCodecPreferences([...chosen, ...(kind === "video" ? named("rtx") : [])]);
    const extended = transceiver as RTCRtpTransceiver & {
      getHeaderExtensionsToNegotiate?(): { uri: string; direction: string }[];
      setHeaderExtensionsToNegotiate?(extensions: { uri: string; direction: string }[]): void;
    };
    const extensions = extended.getHeaderExtensionsToNegotiate?.();
    if (!extensions) return;
    extended.setHeaderExtensionsToNegotiate?.(
      extensions.map(({ uri, direction }) => ({ uri, direction: EXTENSIONS.some((name) => uri.includes(name)) ? direction : "stopped" })),
    );
  }

  /** Sections cannot be taken back: what was not answered is offered again, each time after twice as long. */
  async #offerUntilTaken(connection: RTCPeerConnection, wait: number): Promise<void> {
    try {
      await this.#negotiate(connection, {});
    } catch {
      const again = () => void this.#alone(() => this.#offerUntilTaken(connection, 2 * wait));
      if (connection === this.#connection) setTimeout(again, wait);
    }
  }

  /** Each step may be the last: a connection that was replaced or closed meanwhile is left alone. */
  async #negotiate(connection: RTCPeerConnection, options: RTCOfferOptions): Promise<void> {
    const current = () => connection === this.#connection;
    if (!current()) return;
    const offer = await connection.createOffer(options);
    if (!current()) return;
    await connection.setLocalDescription(offer);
    const packed = await pack(offer.sdp ?? "");
    if (!current()) return;
    const tracks = [...this.#senders].map(([source, transceiver]) => ({ mid: transceiver.mid ?? "", source }));
    const slots = this.#slots.map(({ transceiver, kind }) => ({ mid: transceiver.mid ?? "", kind }));
    const reply = await this.#options.negotiate({ ...packed, tracks, slots });
    if (!current()) return;
    this.#early.clear(); // what was said before the reply is about the connection before
    const answer = await unpack(reply);
    if (!current()) return;
    await connection.setRemoteDescription({ type: "answer", sdp: answer });
    if (!current()) return;
    this.#options.onSlots(slots, this.#views.size === 0);
    for (const section of this.#slots) this.#open(section);
  }

  #open(section: Section): void {
    const slot = section.transceiver.mid;
    if (slot === null || this.#views.has(slot)) return;
    const view = new SlotView(slot, section.kind, this.#options.onSlot);
    this.#views.set(slot, view);
    const early = this.#early.get(slot);
    if (early) view.bind(early);
    this.#early.delete(slot);
    this.#play(section);
  }

  #play({ transceiver }: Section): void {
    const slot = transceiver.mid ?? "";
    const element = this.#elements.get(slot);
    const view = this.#views.get(slot);
    if (!element || !view) return;
    element.srcObject = new MediaStream([transceiver.receiver.track]);
    if (element instanceof HTMLVideoElement) {
      const seen = (_: number, frame: VideoFrameCallbackMetadata) => {
        if (this.#views.get(slot) !== view || this.#elements.get(slot) !== element) return;
        view.frame(frame.rtpTimestamp, frame.width, frame.height);
        element.requestVideoFrameCallback(seen);
      };
      element.requestVideoFrameCallback(seen);
    }
  }

  async #put(source: Source, track: MediaStreamTrack | null): Promise<void> {
    await this.#senders.get(source)?.sender.replaceTrack(track);
  }

  #stateChanged(connection: RTCPeerConnection): void {
    if (connection !== this.#connection) return;
    if (connection.connectionState === "connected") this.#report(false);
    else if (["disconnected", "failed"].includes(connection.connectionState)) this.#repair();
  }

  #watch(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#check(), HEALTH_EVERY);
  }

  async #check(): Promise<void> {
    const connection = this.#connection;
    if (!connection || connection.connectionState === "new") return;
    this.#health.look(await connection.getStats(), performance.now());
    if (connection !== this.#connection) return;
    if (this.#health.stalled(performance.now())) this.#repair();
    else if (connection.connectionState === "connected") this.#report(false);
  }

  /**
   * First new ICE credentials, and when those bring nothing, a new connection. One at a time: while
   * the server is away a repair waits for it, and more of them would only come after each other.
   */
  #repair(anew = false): void {
    if (this.#closed) return;
    this.#report(true);
    const since = performance.now() - this.#restartedAt;
    if (this.#repairing || (!anew && since < RESTART_PATIENCE)) return;
    const replace = anew || since < 3 * RESTART_PATIENCE;
    this.#repairing = true;
    const settled = () => {
      this.#repairing = false;
      this.#restartedAt = performance.now();
    };
    (replace ? this.start() : this.restart()).then(settled, () => {
      settled();
      // Nobody watches a connection that was refused, so it is replaced without a look at its health.
      if (replace) setTimeout(() => this.#repair(true), RESTART_PATIENCE);
    });
  }

  #report(lost: boolean): void {
    if (lost === this.#lost) return;
    this.#lost = lost;
    this.#options.onLost(lost);
  }
}

function baseline(codec: RTCRtpCodec): boolean {
  return /profile-level-id=42e01f/.test(codec.sdpFmtpLine ?? "") && /packetization-mode=1/.test(codec.sdpFmtpLine ?? "");
}
