import { describe, expect, it } from "vitest";
import { initials } from "../src/media/initials";

describe("initials", () => {
  it.each([
    ["Jane Doe", "JD"],
    ["  maximiliana  von und zu Hohenlohe ", "MH"],
    ["Bo", "B"],
    ["Ωmega <b>bold</b>", "ΩB"],
    ["Kim (she/her)", "KS"],
    ["\u{1F469}\u200D\u{1F4BB}\u{1F680} Émilie \u{1F1EB}\u{1F1F7}", "É"],
    ["e\u0301lodie Zo\u0308e", "E\u0301Z"],
    ["李小龍", "李"],
    ["नमस्ते", "न"],
    ["3 Amigos", "3A"],
    ["\u{1F1EB}\u{1F1F7} \u{1F680}", "\u{1F1EB}\u{1F1F7}"],
    ["*** ###", "*"],
    ["", ""],
  ])("of %j are %j: letters or digits, whole characters", (name, expected) => {
    expect(initials(name)).toBe(expected);
  });
});
