import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Connection, type Ending, SUBPROTOCOL } from "../src/connection";
import { type EventFrame, type HelloReply, RequestError } from "../src/messages";

/** A WebSocket whose other end is the test. */
class FakeSocket extends EventTarget {
  static all: FakeSocket[] = [];
  static polite = true;
  readonly sent: Record<string, unknown>[] = [];
  readyState = 1;
  closedWith: number | null = null;
  closing: number | null = null;

  constructor(readonly url: string, readonly protocol: string) {
    super();
    FakeSocket.all.push(this);
  }

  static get last(): FakeSocket {
    const socket = FakeSocket.all.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  /** Without a partner that says good-bye, too, nothing comes of it for a long while. */
  close(code: number): void {
    if (FakeSocket.polite) this.drop(code);
    else this.closing = code;
  }

  accept(): void {
    this.dispatchEvent(new Event("open"));
  }

  say(frame: object): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) }));
  }

  drop(code: number): void {
    if (this.closedWith !== null) return;
    this.closedWith = code;
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }

  welcome(resumed = false, secret = "r1"): void {
    this.accept();
    const p = { participant: "p1", role: "participant", state: "active", epoch: 3, resume: { secret }, resumed, limits: {}, now: "" };
    this.say({ re: "hello", ok: true, p });
  }

  get hello(): Record<string, unknown> {
    return this.sent.find(({ m }) => m === "hello")?.["p"] as Record<string, unknown>;
  }
}

function connect(token: () => Promise<string> = async () => "t1", random = () => 1) {
  const seen = { welcomes: [] as HelloReply[], events: [] as EventFrame[], lost: [] as boolean[], endings: [] as Ending[] };
  const connection = new Connection({
    url: "ws://meet.test/ws",
    token,
    name: "Jane",
    client: "test",
    random,
    events: {
      onWelcome: (reply) => seen.welcomes.push(reply),
      onEvent: (event) => seen.events.push(event),
      onLost: (lost) => seen.lost.push(lost),
      onEnd: (ending) => seen.endings.push(ending),
    },
  });
  return { connection, seen };
}

const event = (st: string, s: number, t = "x", ep = 3): EventFrame => ({ st, ep, s, t, at: "", by: null, p: {} });
const refuse = (id: unknown, code = "unavailable") => FakeSocket.last.say({ re: id, ok: false, err: { code, retry_ms: 1000 } });
const settle = () => vi.advanceTimersByTimeAsync(0);

async function connected() {
  const made = connect();
  const opened = made.connection.open();
  await settle();
  FakeSocket.last.welcome();
  await opened;
  return made;
}

beforeEach(() => {
  FakeSocket.all = [];
  FakeSocket.polite = true;
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the first hello", () => {
  it("carries the token and the name over the JSON subprotocol", async () => {
    const { seen } = await connected();
    expect(FakeSocket.last.protocol).toBe(SUBPROTOCOL);
    expect(FakeSocket.last.hello).toMatchObject({ proto: 1, token: "t1", name: "Jane" });
    expect(seen.welcomes).toHaveLength(1);
  });

  it("that is refused fails the opening with the server's reason, and nobody tries again", async () => {
    const { connection, seen } = connect();
    const opened = connection.open().catch((error: unknown) => error);
    await settle();
    FakeSocket.last.accept();
    FakeSocket.last.say({ re: "hello", ok: false, err: { code: "full", place: 2 } });
    const error = await opened;
    expect(error).toBeInstanceOf(RequestError);
    expect((error as RequestError).extras).toMatchObject({ code: "full", place: 2 });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(seen.endings).toEqual([]);
  });

  it("with a token that the server does not know any more is said once more with a fresh one", async () => {
    const tokens = ["before-the-restart", "after-it"];
    const { connection, seen } = connect(async () => tokens.shift() ?? "none");
    const opened = connection.open().catch((error: unknown) => error);
    await settle();
    FakeSocket.last.accept();
    FakeSocket.last.say({ re: "hello", ok: false, err: { code: "unauthorized" } });
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.welcome();
    await opened;
    expect(FakeSocket.last.hello).toMatchObject({ token: "after-it" });
    expect(seen.welcomes).toHaveLength(1);
  });

  it("whose fresh token is refused, too, fails the opening", async () => {
    const { connection } = connect();
    const opened = connection.open().catch((error: unknown) => error);
    for (const _ of [1, 2]) {
      await vi.advanceTimersByTimeAsync(1000);
      FakeSocket.last.accept();
      FakeSocket.last.say({ re: "hello", ok: false, err: { code: "unauthorized" } });
    }
    expect(await opened).toMatchObject({ code: "unauthorized" });
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("is tried again while the server can't be reached, for a minute", async () => {
    const { connection } = connect();
    const opened = connection.open().catch((error: unknown) => error);
    for (let attempt = 0; attempt < 60; attempt += 1) {
      FakeSocket.all.at(-1)?.drop(1006);
      await vi.advanceTimersByTimeAsync(2000);
    }
    expect(await opened).toMatchObject({ code: "offline" });
    expect(FakeSocket.all.length).toBeGreaterThan(5);
  });
});

describe("a lost socket", () => {
  it("is resumed from the last event of each stream, after a jittered wait", async () => {
    const { seen } = await connected();
    FakeSocket.last.say({ batch: [event("room", 1), event("room", 2), event("self:p1", 9)] });
    FakeSocket.last.drop(1006);
    expect(seen.lost).toEqual([true]);
    await vi.advanceTimersByTimeAsync(299);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    FakeSocket.last.welcome(true, "r2");
    expect(FakeSocket.last.hello["resume"]).toEqual({ secret: "r1", streams: { room: [3, 2], "self:p1": [3, 9] } });
    expect(FakeSocket.last.hello["token"]).toBeUndefined();
    expect(seen.lost).toEqual([true, false]);
  });

  it.each([[0.01, [3, 6]], [0.5, [150, 300, 600, 1200, 2400, 4800, 5000, 5000]], [0.99, [297, 594]]])(
    "waits a random part of the delay, which doubles up to ten seconds: %s", async (share, waits) => {
      const { connection } = connect(async () => "t1", () => share);
      void connection.open().catch(() => {});
      await settle();
      FakeSocket.last.welcome();
      for (const [attempt, wait] of waits.entries()) {
        FakeSocket.last.drop(1006);
        await vi.advanceTimersByTimeAsync(wait - 1);
        expect(FakeSocket.all).toHaveLength(attempt + 1);
        await vi.advanceTimersByTimeAsync(1);
        expect(FakeSocket.all).toHaveLength(attempt + 2);
      }
      connection.close();
    });

  it("shows no event twice", async () => {
    const { seen } = await connected();
    FakeSocket.last.say(event("room", 1));
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.welcome(true, "r2");
    FakeSocket.last.say({ batch: [event("room", 1), event("room", 2)] });
    expect(seen.events.map(({ s }) => s)).toEqual([1, 2]);
  });

  it("loses no request: it is sent again under its id", async () => {
    const { connection } = await connected();
    const reply = connection.request("chat.send", { body: "hi" });
    const { id } = FakeSocket.last.sent.at(-1) as { id: string };
    FakeSocket.last.drop(1006);
    const later = connection.request("hand.set", { up: true });
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.welcome(true, "r2");
    const again = FakeSocket.last.sent.filter(({ m }) => m !== "hello");
    expect(again.map(({ m }) => m)).toEqual(["chat.send", "hand.set"]);
    expect(again[0]?.["id"]).toBe(id);
    for (const frame of again) FakeSocket.last.say({ re: frame["id"], ok: true, p: { done: frame["m"] } });
    expect(await reply).toEqual({ done: "chat.send" });
    expect(await later).toEqual({ done: "hand.set" });
  });

  it("sends once what is asked for by who hears that it is back", async () => {
    const { connection, seen } = await connected();
    FakeSocket.last.drop(1006);
    vi.spyOn(seen.lost, "push").mockImplementation((lost) => {
      if (!lost) void connection.request("view.set", {}).catch(() => {});
      return 1;
    });
    vi.spyOn(seen.welcomes, "push").mockImplementation(() => {
      void connection.request("hand.set", {}).catch(() => {});
      return 1;
    });
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.welcome(true, "r2");
    expect(FakeSocket.last.sent.map(({ m }) => m)).toEqual(["hello", "hand.set", "view.set"]);
  });

  it("is told nothing any more while it closes; what waits is for the next", async () => {
    const { connection } = await connected();
    FakeSocket.last.readyState = 2;
    const before = FakeSocket.last.sent.length;
    void connection.request("hand.set", { up: true }).catch(() => {});
    FakeSocket.last.say({ ping: 1 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(FakeSocket.last.sent).toHaveLength(before);
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.welcome(true, "r2");
    expect(FakeSocket.last.sent.map(({ m }) => m)).toEqual(["hello", "hand.set"]);
  });

  it.each(["media.offer", "view.set"])("drops what concerned the old media transport when the server starts anew: %s", async (method) => {
    const { connection } = await connected();
    const asked = connection.request(method, {}).catch((error: unknown) => error);
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.welcome(false, "r2");
    expect(await Promise.race([asked, settle()])).toMatchObject({ code: "stale_epoch" });
    expect(FakeSocket.last.sent.map(({ m }) => m)).toEqual(["hello"]);
  });

  it("joins anew with a fresh token when its resume is stale", async () => {
    const tokens = ["t1", "t2"];
    const made = connect(async () => tokens.shift() ?? "none");
    const opened = made.connection.open();
    await settle();
    FakeSocket.last.welcome();
    await opened;
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.accept();
    FakeSocket.last.say({ re: "hello", ok: false, err: { code: "stale_epoch" } });
    await vi.advanceTimersByTimeAsync(600);
    FakeSocket.last.welcome(false, "r3");
    expect(FakeSocket.last.hello["token"]).toBe("t2");
    expect(made.seen.endings).toEqual([]);
  });

  it("waits as long as a draining server asks", async () => {
    await connected();
    FakeSocket.last.say({ st: "room", ep: 3, s: 1, t: "draining", at: "", by: null, p: { reconnect_in_ms: 7000 } });
    FakeSocket.last.drop(4503);
    await vi.advanceTimersByTimeAsync(6999);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("is noticed when the server is silent", async () => {
    const { seen } = await connected();
    await vi.advanceTimersByTimeAsync(40_000);
    expect(seen.lost[0]).toBe(true);
  });

  it("is given up after a minute", async () => {
    const { seen } = await connected();
    FakeSocket.last.drop(1006);
    for (let attempt = 0; attempt < 60; attempt += 1) {
      await vi.advanceTimersByTimeAsync(2000);
      FakeSocket.last.drop(1006);
    }
    expect(seen.endings).toEqual(["lost"]);
  });
});

describe("a path that swallows everything", () => {
  beforeEach(() => {
    FakeSocket.polite = false;
  });

  it.each([["the dial", () => {}], ["the hello", () => FakeSocket.last.accept()]])("is left after ten seconds, and another socket tried: no answer to %s", async (_, meanwhile) => {
    const { connection } = connect();
    const opened = connection.open();
    await settle();
    meanwhile();
    await vi.advanceTimersByTimeAsync(10_300);
    expect(FakeSocket.all).toHaveLength(2);
    expect(FakeSocket.all[0]?.closing).not.toBeNull();
    FakeSocket.last.welcome();
    await opened;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("is given up a minute after the loss", async () => {
    const { seen } = await connected();
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(58_000);
    expect(seen.endings).toEqual([]);
    await vi.advanceTimersByTimeAsync(3500);
    expect(seen.endings).toEqual(["lost"]);
  });

  it("has a second for the last answer, when the minute is over", async () => {
    const { seen } = await connected();
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(60_900);
    FakeSocket.last.welcome(true, "r2");
    await vi.advanceTimersByTimeAsync(10_000);
    expect([seen.lost, seen.endings]).toEqual([[true, false], []]);
  });

  it("is given up a minute after the last word of a server that fell silent", async () => {
    const { seen } = await connected();
    await vi.advanceTimersByTimeAsync(58_000);
    expect([seen.lost, seen.endings]).toEqual([[true], []]);
    await vi.advanceTimersByTimeAsync(3500);
    expect(seen.endings).toEqual(["lost"]);
  });

  it("is tried again for half a minute by a page that slept for longer than one", async () => {
    const { seen } = await connected();
    const clock = performance.now.bind(performance);
    const slept = vi.spyOn(performance, "now").mockImplementation(() => clock() + 600_000);
    await vi.advanceTimersByTimeAsync(10_000 + 28_000);
    expect([seen.lost, seen.endings]).toEqual([[true], []]);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
    await vi.advanceTimersByTimeAsync(3500);
    expect(seen.endings).toEqual(["lost"]);
    slept.mockRestore();
  });

  it("fails the first opening, too", async () => {
    const { connection } = connect();
    const opened = connection.open().catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(85_000);
    expect(await opened).toMatchObject({ code: "offline" });
  });

  it("is noticed by its silence, and left without waiting for its good-bye", async () => {
    const { seen } = await connected();
    await vi.advanceTimersByTimeAsync(31_000);
    expect([seen.lost, FakeSocket.all.length]).toEqual([[true], 2]);
  });

  it("is left at once when the network is said to be back", async () => {
    const { connection } = await connected();
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    const stuck = FakeSocket.last;
    connection.hurry();
    await settle();
    expect([FakeSocket.all.length, stuck.closing]).toEqual([3, 4001]);
    stuck.accept();
    expect(FakeSocket.last.sent).toEqual([]);
    FakeSocket.last.welcome(true, "r2");
    stuck.say(event("room", 1));
    connection.hurry();
    await vi.advanceTimersByTimeAsync(9000);
    expect(FakeSocket.all).toHaveLength(3);
  });
});

describe("a socket that was left", () => {
  it("is not listened to any more, whatever it still says", async () => {
    FakeSocket.polite = false;
    const { seen } = await connected();
    const old = FakeSocket.last;
    await vi.advanceTimersByTimeAsync(31_000);
    FakeSocket.last.welcome(true, "r2");
    old.say(event("room", 1));
    old.say({ re: "hello", ok: false, err: { code: "ended" } });
    expect([seen.events, seen.endings]).toEqual([[], []]);
  });
});

describe("a refusal that passes", () => {
  it.each([[4429, 2500], [4429, 20_000]])("brings the resume again when the server said: %i, %i ms", async (code, retry_ms) => {
    FakeSocket.polite = false;
    const { seen } = await connected();
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.accept();
    FakeSocket.last.say({ re: "hello", ok: false, err: { code: "rate", retry_ms } });
    FakeSocket.last.drop(code);
    await vi.advanceTimersByTimeAsync(retry_ms - 1);
    expect(FakeSocket.all).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all).toHaveLength(3);
    FakeSocket.last.welcome(true, "r2");
    expect(FakeSocket.last.hello["resume"]).toMatchObject({ secret: "r1" });
    expect([seen.lost, seen.endings]).toEqual([[true, false], []]);
  });

  it("is no absence of the server: who is told to wait does not give up after a minute", async () => {
    const { seen } = await connected();
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    for (let refusal = 0; refusal < 5; refusal += 1) {
      FakeSocket.last.accept();
      FakeSocket.last.say({ re: "hello", ok: false, err: { code: "rate", retry_ms: 20_000 } });
      await vi.advanceTimersByTimeAsync(20_000);
    }
    FakeSocket.last.welcome(true, "r2");
    expect([seen.lost, seen.endings]).toEqual([[true, false], []]);
  });

  it("of a flood waits five seconds where the server did not say how long", async () => {
    await connected();
    FakeSocket.last.drop(4429);
    await vi.advanceTimersByTimeAsync(4999);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it.each([["rate", 3000], ["http_502", undefined], ["draining", undefined]])("of a token is no end: %s", async (code, retry_ms) => {
    const answers: (() => string)[] = [() => "t1", () => { throw new RequestError({ code, ...(retry_ms ? { retry_ms } : {}) }); }, () => "t2"];
    const { connection, seen } = connect(async () => answers.shift()?.() ?? "none");
    void connection.open();
    await settle();
    FakeSocket.last.welcome();
    FakeSocket.last.drop(4401);
    await vi.advanceTimersByTimeAsync(300 + (retry_ms ?? 600) - 1);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    FakeSocket.last.welcome(false, "r2");
    expect(FakeSocket.last.hello["token"]).toBe("t2");
    expect(seen.endings).toEqual([]);
  });
});

describe("a close that is final", () => {
  it.each([
    [1000, "left"], [4400, "lost"], [4403, "denied"], [4404, "removed"], [4409, "superseded"], [4410, "ended"],
  ] as const)("%i means %s, and nobody comes back", async (code, ending) => {
    const { connection, seen } = await connected();
    const open = connection.request("chat.send", {}).catch((error: unknown) => error);
    FakeSocket.last.drop(code);
    expect(seen.endings).toEqual([ending]);
    expect(await open).toMatchObject({ code: "closed" });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.all).toHaveLength(1);
  });
});

describe("a snapshot", () => {
  it("moves the positions from which a resume continues", async () => {
    await connected();
    const snapshot = { ...event("self:p1", 1, "snapshot"), p: { positions: { room: [3, 41], "self:p1": [3, 1] } } };
    FakeSocket.last.say(snapshot);
    FakeSocket.last.say(event("room", 42));
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.welcome(true);
    expect(FakeSocket.last.hello["resume"]).toMatchObject({ streams: { room: [3, 42], "self:p1": [3, 1] } });
  });

  it("forgets the streams that it does not name: they are not followed any more", async () => {
    await connected();
    FakeSocket.last.say(event("lobby", 7));
    FakeSocket.last.say({ ...event("self:p1", 1, "snapshot"), p: { positions: { room: [3, 41] } } });
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(300);
    FakeSocket.last.welcome(true);
    expect(FakeSocket.last.hello["resume"]).toEqual({ secret: "r1", streams: { room: [3, 41] } });
  });
});

describe("pings", () => {
  it("are answered with what they carried", async () => {
    await connected();
    FakeSocket.last.say({ ping: 77 });
    expect(FakeSocket.last.sent.at(-1)).toEqual({ pong: 77 });
  });
});

describe("a message that could not be stored in time", () => {
  it("is sent again under its id, three times, and then told", async () => {
    const { connection } = connect();
    void connection.open();
    await settle();
    FakeSocket.last.welcome();
    let told: unknown = null;
    connection.request("chat.send", { body: "Hi" }).catch((error: unknown) => (told = error));
    const sent = () => FakeSocket.last.sent.filter(({ m }) => m === "chat.send");
    for (const count of [1, 2, 3]) {
      refuse(sent()[0]?.["id"]);
      await vi.advanceTimersByTimeAsync(999);
      expect([sent().length, told]).toEqual([count, null]);
      await vi.advanceTimersByTimeAsync(1);
      expect(sent().length).toBe(count + 1);
    }
    expect(new Set(sent().map(({ id }) => id)).size).toBe(1);
    refuse(sent()[0]?.["id"]);
    await settle();
    expect(told).toMatchObject({ code: "unavailable" });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent().length).toBe(4);
  });

  it("is answered by what the second time brings, over a new socket as well", async () => {
    const { connection } = connect();
    void connection.open();
    await settle();
    FakeSocket.last.welcome();
    const answer = connection.request("chat.send", { body: "Hi" });
    const id = FakeSocket.last.sent.at(-1)?.["id"];
    refuse(id);
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(2000);
    FakeSocket.last.welcome(true);
    await settle();
    const sent = FakeSocket.last.sent.filter(({ m }) => m === "chat.send");
    expect(sent.map((frame) => frame["id"])).toEqual([id]);
    FakeSocket.last.say({ re: id, ok: true, p: { id: "m1" } });
    await expect(answer).resolves.toEqual({ id: "m1" });
  });

  it.each([["media.offer", "unavailable"], ["track.set", "unavailable"], ["hand.set", "unavailable"], ["chat.send", "rate"]])("is told at once where it is another thing: %s, %s", async (method, code) => {
    const { connection } = connect();
    void connection.open();
    await settle();
    FakeSocket.last.welcome();
    const answer = connection.request(method, {});
    refuse(FakeSocket.last.sent.at(-1)?.["id"], code);
    await expect(answer).rejects.toMatchObject({ code });
  });
});
