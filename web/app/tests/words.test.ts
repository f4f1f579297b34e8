import { describe, expect, it } from "vitest";
import { cutName, headingOf } from "../src/meet/words";

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
