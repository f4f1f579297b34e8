import { describe, expect, it } from "vitest";
import type { ChatMessage, LobbyMessage, Participant, Waiter } from "../src/messages";
import { applyChat, applyLine, applyLobby, applyRoster, changeChat, type Lobby } from "../src/roster";

const person = (id: string, rev = 1): Participant => ({
  id, identity_kind: "guest", name: id, role: "participant", state: "active", verified: false,
  tracks: { mic: false, camera: false, screen: false }, track_ids: {}, hand: null, joined_at: null, rev,
});
const waiter = (participant: string, name = participant): Waiter => ({
  participant, name, since: "", verified: false, identity_kind: "guest", waits: "verdict",
});
const line = (id: number): LobbyMessage => ({ id: String(id), from: "b", waiter: "b", name: "Bo", text: "", at: "" });
const message = (id: string, no: number): ChatMessage => ({ id, no, from: "a", name: "A", body: id, at: "2026-11-25T10:00:00Z", to: null });

describe("the roster", () => {
  it("takes additions, changed fields and leavers of one delta", () => {
    const before = new Map([["a", person("a")], ["b", person("b")]]);
    const after = applyRoster(before, { rev: 2, add: [person("c")], upd: [{ id: "a", rev: 2, name: "Ana" }], del: ["b"] });
    expect([...after.keys()]).toEqual(["a", "c"]);
    expect(after.get("a")?.name).toBe("Ana");
    expect(before.size).toBe(2);
  });

  it("ignores a change that is older than what is known", () => {
    const after = applyRoster(new Map([["a", person("a", 5)]]), { rev: 6, upd: [{ id: "a", rev: 4, name: "old" }] });
    expect(after.get("a")?.name).toBe("a");
  });
});

describe("the queue", () => {
  it("replaces an entry in its place and keeps the version that Admit all refers to", () => {
    const after = applyLobby({ ver: 1, messages: [], list: [waiter("a"), waiter("b")] }, { ver: 3, add: [waiter("a", "Ann"), waiter("c")], del: ["b"] });
    expect(after).toMatchObject({ ver: 3, list: [{ name: "Ann" }, { name: "c" }] });
  });
});

describe("lines through the door", () => {
  it("are kept once each, the newest 50", () => {
    const all = Array.from({ length: 60 }, (_, index) => line(index));
    const { messages } = [...all, line(59)].reduce(applyLine, { ver: 1, list: [], messages: [] } as Lobby);
    expect([messages.length, messages[0]?.id, messages.at(-1)?.id]).toEqual([50, "10", "59"]);
  });
});

describe("the chat", () => {
  it("shows a message once, in the order of its numbers", () => {
    const after = [message("b", 2), message("a", 1), message("b", 2)].reduce<readonly ChatMessage[]>(applyChat, []);
    expect(after.map(({ id }) => id)).toEqual(["a", "b"]);
  });

  it("ignores a change of a message that isn't kept any more", () => {
    const before = [message("b", 2)];
    expect(changeChat(before, "a", { body: "x", state: "edited" })).toBe(before);
  });

  it("keeps the newest 300", () => {
    const all = Array.from({ length: 400 }, (_, index) => message(String(index), index));
    const kept = all.reduce<readonly ChatMessage[]>(applyChat, []);
    expect([kept.length, kept[0]?.no]).toEqual([300, 100]);
  });
});
