// @vitest-environment happy-dom
import { beforeEach, describe, expect, it, vi } from "vitest";
import { linesOf, Meeting, type Notice } from "../src/index";
import { FakePeerConnection } from "./fakePeerConnection";
import { info, inside, joined, made, me, outside, room, Server, settle, withServer } from "./fakeServer";

withServer();

describe("a join that somebody thought better of", () => {
  const answers: ((answer: Response) => void)[] = [];
  beforeEach(() => {
    answers.length = 0;
    vi.stubGlobal("fetch", () => new Promise((resolve) => answers.push(resolve)));
  });

  it.each([["lets us in", () => Response.json(info)], ["refuses", () => Response.json({ code: "full" }, { status: 409 })]])(
    "opens nothing when the server %s after we left", async (_, answer) => {
      const before = Server.current;
      const meeting = made();
      const joining = meeting.join("Jane");
      await meeting.leave();
      answers[0]?.(answer());
      await joining;
      await settle();
      expect([meeting.state.get(), Server.current === before]).toEqual(["left", true]);
    });

  it("goes on when it came after a leave that was under way", async () => {
    vi.stubGlobal("fetch", async () => Response.json(info));
    const meeting = await joined(inside);
    const leaving = meeting.leave();
    await meeting.join("Jane");
    await leaving;
    Server.current.tell("snapshot", inside);
    await settle();
    expect(meeting.state.get()).toBe("live");
    await meeting.sendChat("heard");
    expect(Server.current.asked("chat.send")).toHaveLength(1);
  });

  it("is one connection though it was asked for twice", async () => {
    const meeting = made();
    const opened = vi.fn<() => void>();
    vi.stubGlobal("WebSocket", class extends Server { constructor() { super(); opened(); } });
    const joins = [meeting.join("Jane"), meeting.join("Jane")];
    for (const answer of answers) answer(Response.json(info));
    await Promise.all(joins);
    expect(opened).toHaveBeenCalledOnce();
  });
});

describe("who speaks", () => {
  it("is not known while the connection is lost", async () => {
    const meeting = await joined({ ...inside, speakers: ["p2"] });
    expect(meeting.speakers.get()).toEqual(["p2"]);
    Server.current.close(1006);
    expect([meeting.signalingLost.get(), meeting.speakers.get()]).toEqual([true, []]);
  });
});

describe("the door", () => {
  it("keeps a waiting guest without a peer connection until the snapshot that lets them in", async () => {
    const meeting = await joined(outside);
    expect([meeting.state.get(), meeting.waiting.get().place]).toEqual(["waiting", 2]);
    expect(FakePeerConnection.made).toHaveLength(0);
    expect(Server.current.asked("media.offer")).toHaveLength(0);
    Server.current.tell("lobby.state", { verdict: "admitted" });
    await settle();
    expect(FakePeerConnection.made).toHaveLength(0);
    Server.current.tell("snapshot", inside);
    await settle();
    expect(meeting.state.get()).toBe("live");
    expect(FakePeerConnection.made).toHaveLength(1);
  });

  it("says for what somebody waits: a word, or a seat", async () => {
    const meeting = await joined({ ...outside, waits: "verdict" });
    expect(meeting.waiting.get().waits).toBe("verdict");
    Server.current.tell("lobby.state", { verdict: "waiting", place: 1, waits: "seat" });
    await settle();
    expect(meeting.waiting.get()).toMatchObject({ place: 1, waits: "seat" });
  });

  it.each([["lobby_open", "absent", false], ["lobby_open", "present", true], ["lobby_open", "grace", true], ["live", "absent", true]])(
    "knows whether the meeting has begun: %s, host %s", async (state, host, begun) => {
      const meeting = await joined({ ...outside, room: { ...room, state, host_presence: "absent" }, host });
      expect(meeting.waiting.get().begun).toBe(begun);
      Server.current.tell("lobby.state", { verdict: "waiting", place: 1, host: "absent" });
      await settle();
      expect(meeting.waiting.get()).toMatchObject({ begun, hostPresent: false });
    });

  it("closes the media of who is sent back to it, and empties the roster", async () => {
    const meeting = await joined(inside);
    Server.current.tell("snapshot", outside);
    await settle();
    expect(meeting.state.get()).toBe("waiting");
    expect(meeting.roster.get().size).toBe(0);
    expect(FakePeerConnection.made[0]?.closed).toBe(true);
  });

  it.each([["early", "early"], ["full", "full"], ["ended", "ended"], ["cancelled", "cancelled"], ["not_found", "unknown"], ["forbidden", "denied"], ["closed", "denied"]])(
    "that answers hello with %s leads to the page %s", async (code, state) => {
      Server.refusals = { hello: { code } };
      const meeting = new Meeting({ origin: "https://meet.test", code: "abc", secret: "s" }, { storage: null });
      await meeting.lookUp();
      await meeting.join("Jane");
      expect(meeting.state.get()).toBe(state);
    });

  it("that is locked is told apart from a host's no, at the first knock and after a loss", async () => {
    Server.refusals = { hello: { code: "closed" } };
    const knocking = made();
    await knocking.join("Jane");
    expect([knocking.state.get(), knocking.detail.get()["code"]]).toEqual(["denied", "closed"]);
    Server.refusals = {};
    const lost = await joined(outside);
    Server.refusals = { hello: { code: "closed" } };
    Server.current.close(1006);
    await vi.advanceTimersByTimeAsync(5000);
    expect([lost.state.get(), lost.detail.get()["code"]]).toEqual(["denied", "closed"]);
  });
});

describe("a line through the door", () => {
  const list = [{ participant: "b", name: "Bo", since: "", verified: false, identity_kind: "guest", waits: "verdict" }];
  const line = { id: "l1", from: "b", waiter: "b", name: "Bo", text: "I'm early", at: "2026-11-25T10:00:00Z", to: null };

  it("is kept for the host from before and from now on, once each", async () => {
    const notices: Notice[] = [];
    const meeting = await joined({ ...inside, lobby: { ver: 3, list, messages: [line] } });
    meeting.onNotice = (notice) => notices.push(notice);
    Server.current.tell("lobby.message", { ...line, id: "l2", text: "Hello?" });
    Server.current.tell("lobby.message", { ...line, id: "l2", text: "Hello?" });
    Server.current.tell("lobby.message", { ...line, id: "l3", from: "h", waiter: null, text: "A minute" });
    await settle();
    expect(linesOf(meeting.lobby.get(), "b").map(({ text }) => text)).toEqual(["I'm early", "Hello?"]);
    expect(notices[0]).toEqual({ kind: "lobby_message", name: "Bo", text: "Hello?" });
  });

  it("is not told to who wrote it", async () => {
    const notices: Notice[] = [];
    const meeting = await joined(outside);
    meeting.onNotice = (notice) => notices.push(notice);
    Server.current.tell("lobby.message", { ...line, from: me.id, waiter: me.id, name: "Jane" });
    await settle();
    expect([notices, meeting.waiting.get().message]).toEqual([[], null]);
    Server.current.tell("lobby.message", { ...line, from: "h", waiter: null, name: "Ana", text: "A minute" });
    await settle();
    expect(meeting.waiting.get().message).toBe("Ana: A minute");
  });
});

describe("a name that the server refuses", () => {
  it.each([
    { code: "bad_request", need: "name" },
    { code: "bad_request", detail: "a name is 1 to 80 printable characters" },
    { code: "too_large", detail: "name" },
  ])("with $code $need $detail leads back to where it is entered, and another one gets in", async (refusal) => {
    Server.refusals = { hello: refusal };
    const meeting = made();
    await meeting.lookUp();
    await meeting.join("J\u200bane");
    expect([meeting.state.get(), meeting.detail.get()["need"]]).toEqual(["prejoin", "name"]);
    Server.refusals = {};
    await meeting.join("Jane");
    expect([meeting.state.get(), meeting.detail.get()]).toEqual(["connecting", {}]);
    expect(Server.current.asked("hello")).toMatchObject([{ name: "Jane" }]);
  });

  it("is none when the link itself is malformed", async () => {
    answer(400, { code: "bad_request" });
    const meeting = made();
    await meeting.join("Jane");
    expect(meeting.state.get()).toBe("unknown");
  });
});

const answer = (status: number, body: object) => vi.stubGlobal("fetch", vi.fn(async () => Response.json(body, { status })));

async function tokenAfter(milliseconds: number): Promise<unknown> {
  const meeting = made();
  await meeting.lookUp();
  await vi.advanceTimersByTimeAsync(milliseconds);
  await meeting.join("Jane");
  return Server.current.asked("hello")[0]?.["token"];
}

describe("joining", () => {
  it.each([["full", 409, "full"], ["not_found", 404, "unknown"], ["early", 403, "early"]])(
    "without a look first: the refusal %s becomes a state", async (code, status, state) => {
      answer(status, { code, opens_at: "2026-11-25T10:00:00Z" });
      const meeting = made();
      await meeting.join("Jane");
      expect([meeting.state.get(), meeting.detail.get()["code"]]).toEqual([state, code]);
    });

  it("without a server leads to the page offline", async () => {
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("no network")));
    const meeting = made();
    await meeting.join("Jane");
    expect(meeting.state.get()).toBe("offline");
  });

  it("without WebRTC says so and asks nobody", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    answer(200, info);
    const meeting = made();
    await meeting.join("Jane");
    expect(meeting.state.get()).toBe("unsupported");
    expect(fetch).not.toHaveBeenCalled();
  });

  it.each([["an address that is none", { ...info, ws: "ws://[" }], ["something else than an answer", {}]])(
    "where the server answers %s doesn't wait for ever", async (_, body) => {
      answer(200, body);
      vi.stubGlobal("WebSocket", class extends Server {
        constructor(url?: string) {
          super();
          if (url === "ws://[") throw new DOMException("not an address", "SyntaxError");
        }
      });
      const meeting = made();
      await meeting.join("Jane");
      expect(["offline", "unknown"]).toContain(meeting.state.get());
    });

  it("without a look first spends one token", async () => {
    answer(200, info);
    await made().join("Jane");
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("asks for a new token when the one of the look has grown old", async () => {
    let serial = 0;
    vi.stubGlobal("fetch", async () => Response.json({ ...info, token: `t${++serial}` }));
    expect(await tokenAfter(30_000)).toBe("t1");
    expect(await tokenAfter(60_000)).toBe("t3");
  });
});

describe("the number of people", () => {
  const guest = { ...me, id: "p2" };
  const bot = { ...me, id: "p3", identity_kind: "service" };

  it("is the roster's where that is shown in full, machines not counted", async () => {
    const meeting = await joined(inside);
    Server.current.tell("roster.delta", { rev: 2, add: [guest, bot] });
    await settle();
    expect([meeting.roster.get().size, meeting.count.get()]).toEqual([3, 2]);
  });

  it("is the server's where only a count is shown", async () => {
    const meeting = await joined({ ...inside, room: { ...room, policy: { roster: "count" } }, count: 40 });
    Server.current.tell("roster.delta", { rev: 2, add: [guest] });
    await settle();
    expect(meeting.count.get()).toBe(40);
    Server.current.tell("roster.count", { count: 41 });
    await settle();
    expect(meeting.count.get()).toBe(41);
  });
});

describe("a verdict", () => {
  it.each(["admit", "deny"] as const)("that was given before is as good as one's own: %s", async (method) => {
    const meeting = await joined(inside);
    const verdict = method === "admit" ? "admitted" : "denied";
    Server.refusals = { [`lobby.${method}`]: { code: "already_decided", verdict } };
    await expect(meeting[method]("p2")).resolves.toEqual(method === "admit" ? { admitted: ["p2"], waiting_for_seat: [] } : {});
  });

  it.each(["admit", "deny"] as const)("that was the other one is told: %s", async (method) => {
    const meeting = await joined(inside);
    const verdict = method === "admit" ? "denied" : "admitted";
    Server.refusals = { [`lobby.${method}`]: { code: "already_decided", verdict } };
    await expect(meeting[method]("p2")).rejects.toMatchObject({ code: "already_decided" });
  });
});

describe("the chat", () => {
  const line = { id: "m1", no: 1, from: "h", name: "Ana", body: "Helo", at: "2026-11-25T10:00:00Z" };

  it("changes a message in its place, and takes the text of a deleted one away", async () => {
    const meeting = await joined(inside);
    Server.current.tell("chat.msg", line);
    Server.current.tell("chat.msg", { ...line, id: "m2", no: 2, body: "Bye" });
    Server.current.tell("chat.edited", { id: "m1", no: 1, body: "Hello", at: "2026-11-25T10:01:00Z" });
    await settle();
    expect(meeting.chat.get()).toMatchObject([{ body: "Hello", state: "edited", at: line.at }, { body: "Bye" }]);
    Server.current.tell("chat.deleted", { id: "m1", no: 1 });
    await settle();
    expect(meeting.chat.get()).toMatchObject([{ id: "m1", body: "", state: "deleted" }, { body: "Bye" }]);
  });
});

describe("an appointment", () => {
  it("that moves is told to who waits, however often its time is told", async () => {
    const first = "2030-01-01T10:00:00.000Z";
    const meeting = await joined({ ...outside, room: { ...room, starts_at: first } });
    Server.current.tell("lobby.state", { verdict: "waiting", place: 1, starts_at: "2030-01-01T10:00:00Z" });
    await settle();
    expect(meeting.waiting.get().moved).toBe(false);
    for (const starts_at of ["2030-01-04T10:00:00.000Z", "2030-01-04T10:00:00.000Z"]) {
      Server.current.tell("lobby.state", { verdict: "waiting", place: 1, starts_at });
      await settle();
      expect([meeting.waiting.get().moved, meeting.waiting.get().startsAt]).toEqual([true, starts_at]);
    }
  });
});

describe("the end", () => {
  it("shows at once, silences everything, and can be undone", async () => {
    const meeting = await joined(inside);
    Server.current.tell("room.state", { state: "ending", ends_in_ms: 10_000 });
    await settle();
    expect(meeting.state.get()).toBe("ended");
    expect(meeting.endsAt.get()).not.toBeNull();
    expect(FakePeerConnection.made[0]?.closed).toBe(true);
    Server.current.tell("room.state", { state: "live" });
    await settle();
    expect([meeting.state.get(), meeting.endsAt.get()]).toEqual(["live", null]);
    expect(FakePeerConnection.made).toHaveLength(2);
  });

  it("of an appointment that is cancelled while somebody waits is no end of a meeting", async () => {
    const meeting = await joined(outside);
    Server.current.tell("ended", { reason: "cancelled" });
    await settle();
    Server.current.close(4410);
    expect(meeting.state.get()).toBe("cancelled");
  });

  it.each(["cancelled", "ended"])("that came while the connection was lost is told, too: %s", async (code) => {
    const meeting = await joined(outside);
    Server.refusals = { hello: { code } };
    answer(409, { code });
    Server.current.close(1006);
    await vi.advanceTimersByTimeAsync(5000);
    expect(meeting.state.get()).toBe(code);
  });

  it("is final with its close code, and says who ended", async () => {
    const meeting = await joined({ ...inside, roster: [me, { ...me, id: "h", name: "Ana" }] });
    Server.current.tell("room.ended", { reason: "host", by: "h" });
    await settle();
    Server.current.close(4410);
    expect(meeting.state.get()).toBe("ended");
    expect(meeting.detail.get()).toMatchObject({ name: "Ana", reason: "host" });
  });
});
