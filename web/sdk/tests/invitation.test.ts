import { afterEach, describe, expect, it, vi } from "vitest";
import { deviceKey, parseInvitation, requestToken } from "../src/invitation";

afterEach(() => vi.unstubAllGlobals());

describe("a link", () => {
  it("says where, which room, and its secret", () => {
    expect(parseInvitation("https://meet.example.com/m/abc#k=s3cret")).toEqual({ origin: "https://meet.example.com", code: "abc", secret: "s3cret" });
  });

  it.each(["https://meet.example.com/m/abc", "https://meet.example.com/#k=x", "nonsense", "https://meet.example.com/m/a/b#k=x"])(
    "that is none is refused: %s", (link) => expect(parseInvitation(link)).toBeNull());
});

describe("the device key", () => {
  it("is made once, 128 bits, and kept", () => {
    const kept = new Map<string, string>();
    const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
    const first = deviceKey(storage);
    expect(first).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(deviceKey(storage)).toBe(first);
    expect(deviceKey(null)).not.toBe(first);
  });
});

describe("the trade for a token", () => {
  const invitation = { origin: "https://meet.test", code: "abc", secret: "s" };

  it("sends the secret in the body, never in the address", async () => {
    const fetched = vi.fn<(url: string, init: RequestInit) => Promise<Response>>(async () => Response.json({ token: "t", ws: "wss://meet.test/ws" }));
    vi.stubGlobal("fetch", fetched);
    await requestToken(invitation, "d");
    const [url, init] = fetched.mock.calls[0] ?? [];
    expect(url).toBe("https://meet.test/m/abc/join");
    expect(JSON.parse(String(init?.body))).toEqual({ secret: "s", device: "d" });
  });

  it("passes the server's refusal on with what it says beside", async () => {
    vi.stubGlobal("fetch", async () => Response.json({ code: "early", opens_at: "2026-11-25T10:00:00Z" }, { status: 403 }));
    await expect(requestToken(invitation, "d")).rejects.toMatchObject({ code: "early", extras: { opens_at: "2026-11-25T10:00:00Z" } });
  });

  it("is given up when nobody answers", async () => {
    const timeout = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort());
    vi.stubGlobal("fetch", async (_: string, { signal }: RequestInit) => {
      signal?.throwIfAborted();
      return new Promise(() => {});
    });
    await expect(requestToken(invitation, "d")).rejects.toMatchObject({ code: "offline" });
    expect(timeout).toHaveBeenCalledWith(10_000);
    timeout.mockRestore();
  });

  it("says so when the server can't be reached", async () => {
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("network")));
    await expect(requestToken(invitation, "d")).rejects.toMatchObject({ code: "offline" });
  });
});
