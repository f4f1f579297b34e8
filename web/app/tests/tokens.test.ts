import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync(`${import.meta.dirname}/../src/tokens/tokens.css`, "utf8");
const blocks = { light: css.slice(css.indexOf(":root"), css.indexOf("[data-theme")), dark: css.slice(css.indexOf("[data-theme")) };

const read = (block: string) => Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]));

function tokens(theme: "light" | "dark"): Record<string, string> {
  return { ...read(blocks.light), ...(theme === "dark" ? read(blocks.dark) : {}) } as Record<string, string>;
}

/** Relative luminance, WCAG 2.2. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].toSorted((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** Foreground, background, the least contrast: 4.5 for text, 3 for borders and signs. */
const PAIRS: [string, string, number][] = [
  ...["text", "text-2", "text-3"].flatMap((text): [string, string, number][] => ["canvas", "surface", "raised"].map((ground) => [text, ground, 4.5])),
  ["edge", "surface", 3], ["focus", "surface", 3], ["focus", "canvas", 3],
  ["primary", "surface", 4.5], ["on-primary", "primary", 4.5], ["on-sun", "sun", 4.5], ["on-leave", "leave", 4.5],
  ["speaking", "stage", 3], ["success", "surface", 4.5],
  ...["danger", "success", "warning", "info"].map((tone): [string, string, number] => [tone, `${tone}-bg`, 4.5]),
  ...Array.from({ length: 8 }, (_, index): [string, string, number] => ["on-avatar", `avatar-${index}`, 4.5]),
];

describe.each(["light", "dark"] as const)("the %s theme", (theme) => {
  const colours = tokens(theme);

  it.each(PAIRS)("has %s on %s at %d or more", (front, back, least) => {
    const [a, b] = [colours[front], colours[back]];
    if (!a || !b) throw new Error(`${front} or ${back} is not a token`);
    expect(contrast(a, b)).toBeGreaterThanOrEqual(least);
  });
});

describe("the measure", () => {
  it("gives what WCAG gives for white on black and for a known pair", () => {
    expect(contrast("#ffffff", "#000000")).toBeCloseTo(21);
    expect(contrast("#1f4fc4", "#ffffff")).toBeCloseTo(7.1, 1);
  });
});
