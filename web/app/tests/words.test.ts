import { describe, expect, it } from "vitest";
import { type Participant, RequestError, type Roster } from "../../sdk/src/index";
import { cutName, headingOf, inTheWay, refusedText } from "../src/meet/words";

const SHARING = { mic: false, camera: false, screen: true };
const person = (id: string, changes: Partial<Participant> = {}) =>
  [id, { id, name: id.toUpperCase(), role: "participant", state: "active", tracks: {}, ...changes } as Participant] as const;

const refused = (who?: string) => new RequestError({ code: "forbidden", need: "screen_free", who });

describe("a screen that is shared", () => {
  const roster: Roster = new Map([person("ana"), person("jane", { tracks: SHARING })]);

  it.each([
    ["participant", "ana", "jane"],
    ["presenter", "ana", "jane"],
    ["host", "ana", undefined],
    ["cohost", "ana", undefined],
    ["participant", "jane", undefined],
  ] as const)("keeps a %s named %s waiting for %s", (role, id, other) => {
    expect(inTheWay(roster, { id, role })?.id).toBe(other);
  });

  it("keeps nobody waiting whose owner lost the connection", () => {
    const away: Roster = new Map([person("jane", { state: "reconnecting", tracks: SHARING })]);
    expect(inTheWay(away, { id: "ana", role: "participant" })).toBeNull();
  });

  it("is told with its owner's name, where that is known", () => {
    expect(refusedText(roster, "screen", refused("jane"))).toBe("JANE is sharing. One screen can be shared at a time.");
    expect(refusedText(roster, "screen", refused("kim"))).toBe("Somebody else is sharing. One screen can be shared at a time.");
    expect(refusedText(roster, "screen", new RequestError({ code: "forbidden", need: "publish_screen" }))).toContain("Only presenters");
  });
});

describe("a prefilled name", () => {
  it("is cut to 80 characters, not code units", () => {
    expect(cutName("Jane")).toBe("Jane");
    expect(cutName("a".repeat(81))).toBe("a".repeat(80));
    expect(cutName("\u{1F600}".repeat(81))).toBe("\u{1F600}".repeat(80));
  });
});

describe("the heading before the meeting", () => {
  it.each([
    ["Roof review", "Ana Diaz", "Roof review with Ana Diaz"],
    ["Meeting with Ana Diaz", "Ana Diaz", "Meeting with Ana Diaz"],
    ["Roof review", null, "Roof review"],
    ["Roof review", "", "Roof review"],
  ])("of %s by %s is %s", (title, host, heading) => {
    expect(headingOf(title, host)).toBe(heading);
  });
});
