// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import { takeInvitation } from "../src/meet/secret";
import { openSettings } from "../src/meet/settings";

beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
});

const at = (href: string) => Object.assign(new URL(href)) as unknown as Location;

describe("the secret of the link", () => {
  it("leaves the address bar at once and survives a reload of the tab", () => {
    const shown: string[] = [];
    const bar = { state: null, replaceState: (_state: unknown, _title: string, path: string) => shown.push(path) } as unknown as History;
    const first = takeInvitation(at("https://meet.test/m/abc#k=s3cret"), bar, sessionStorage);
    expect([first?.secret, shown]).toEqual(["s3cret", ["/m/abc"]]);
    expect(takeInvitation(at("https://meet.test/m/abc"), bar, sessionStorage)?.secret).toBe("s3cret");
  });

  it("of another room is not used", () => {
    takeInvitation(at("https://meet.test/m/abc#k=s3cret"), history, sessionStorage);
    expect(takeInvitation(at("https://meet.test/m/other"), history, sessionStorage)).toBeNull();
  });
});

describe("settings", () => {
  it("are kept, field by field, and anything strange is dropped", () => {
    openSettings(localStorage).update((settings) => ({ ...settings, name: "Jane", micOn: true }));
    const kept = JSON.parse(localStorage.getItem("sunup.settings") ?? "{}") as Record<string, unknown>;
    localStorage.setItem("sunup.settings", JSON.stringify({ ...kept, cameraOn: "yes", extra: 1 }));
    expect(openSettings(localStorage).get()).toMatchObject({ name: "Jane", micOn: true, cameraOn: false });
    expect(openSettings(localStorage).get()).not.toHaveProperty("extra");
  });

  it("work without storage", () => {
    const settings = openSettings(null);
    settings.update((now) => ({ ...now, name: "Jane" }));
    expect(settings.get().name).toBe("Jane");
  });
});
