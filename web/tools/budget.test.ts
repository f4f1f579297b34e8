import { describe, expect, it } from "vitest";
// @ts-expect-error -- a plain script without types
import { loadedWith, measure } from "./budget.mjs";

const manifest = {
  "meet.html": { file: "meet.js", isEntry: true, imports: ["_shared.js"], dynamicImports: ["panel"], css: ["meet.css"] },
  "_shared.js": { file: "shared.js", imports: ["_deep.js"] },
  "_deep.js": { file: "deep.js" },
  panel: { file: "panel.js", imports: ["_shared.js", "_own.js"] },
  "_own.js": { file: "own.js" },
};
const limits = { "meet.html": { js: 1, css: 1 }, panel: { js: 1 } };
const sizes: Record<string, number> = { "meet.js": 500, "shared.js": 300, "deep.js": 150, "panel.js": 90, "own.js": 7, "meet.css": 40 };

describe("the budget", () => {
  it("counts what the first load brings with it, once", () => {
    expect([...loadedWith(manifest, "meet.html")]).toEqual(["meet.html", "_shared.js", "_deep.js"]);
    const rows = measure(manifest, (file: string) => sizes[file], limits);
    expect(rows).toEqual([
      { name: "meet.html", kind: "js", bytes: 950, limit: 1000 },
      { name: "meet.html", kind: "css", bytes: 40, limit: 1000 },
      { name: "panel", kind: "js", bytes: 97, limit: 1000 },
    ]);
  });

  it("knows no entry without a limit", () => {
    expect(() => measure({ "new.html": { file: "n.js", isEntry: true } }, () => 1, limits)).toThrow("no budget for the entry new.html");
  });
});
