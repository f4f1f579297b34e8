import { describe, expect, it } from "vitest";
import { cutName } from "../src/meet/words";

describe("a prefilled name", () => {
  it("is cut to 80 characters, not code units", () => {
    expect(cutName("Jane")).toBe("Jane");
    expect(cutName("a".repeat(81))).toBe("a".repeat(80));
    expect(cutName("\u{1F600}".repeat(81))).toBe("\u{1F600}".repeat(80));
  });
});
