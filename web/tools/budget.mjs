// What a page costs: gzips the files that its first load and each lazy panel need, as the build's
// manifest lists them, and fails above a limit. The limits are the design's, in kB of 1000 bytes.
//
//   node tools/budget.mjs [dist]

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

export const LIMITS = {
  "meet.html": { js: 180, css: 15 },
  panel: { js: 25 },
  "sdk/sunup.js": { js: 30 },
};

/** Keys of all chunks that `key` loads with itself. */
export function loadedWith(manifest, key, seen = new Set()) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const imported of manifest[key].imports ?? []) loadedWith(manifest, imported, seen);
  return seen;
}

/** Rows of {name, kind, bytes, limit}; `size` gives the gzipped bytes of a file. */
export function measure(manifest, size, limits = LIMITS) {
  const rows = [];
  for (const [key, chunk] of Object.entries(manifest)) {
    if (!chunk.isEntry) continue;
    const first = loadedWith(manifest, key);
    const limit = limits[key];
    if (!limit) throw new Error(`no budget for the entry ${key}`);
    rows.push({ name: key, kind: "js", bytes: total(manifest, first, "js", size), limit: limit.js * 1000 });
    rows.push({ name: key, kind: "css", bytes: total(manifest, first, "css", size), limit: limit.css * 1000 });
    for (const panel of [...first].flatMap((loaded) => manifest[loaded].dynamicImports ?? [])) {
      const more = [...loadedWith(manifest, panel)].filter((loaded) => !first.has(loaded));
      rows.push({ name: panel, kind: "js", bytes: total(manifest, more, "js", size), limit: limits.panel.js * 1000 });
    }
  }
  return rows;
}

function total(manifest, keys, kind, size) {
  const files = new Set([...keys].flatMap((key) => (kind === "js" ? [manifest[key].file] : (manifest[key].css ?? []))));
  return [...files].reduce((sum, file) => sum + size(file), 0);
}

export function main(dist) {
  const size = (file) => gzipSync(readFileSync(join(dist, file))).length;
  const manifest = JSON.parse(readFileSync(join(dist, ".vite/manifest.json"), "utf8"));
  const rows = measure(manifest, size);
  rows.push({ name: "sdk/sunup.js", kind: "js", bytes: size("sdk/sunup.js"), limit: LIMITS["sdk/sunup.js"].js * 1000 });
  for (const { name, kind, bytes, limit } of rows) {
    const verdict = bytes > limit ? "OVER" : "ok";
    console.log(`${verdict.padEnd(5)}${kind.padEnd(4)}${(bytes / 1000).toFixed(1).padStart(7)} of ${limit / 1000} kB  ${name}`);
  }
  return rows.every(({ bytes, limit }) => bytes <= limit);
}

if (process.argv[1] === import.meta.filename) {
  const dist = resolve(process.argv[2] ?? join(import.meta.dirname, "../dist"));
  process.exitCode = main(dist) ? 0 : 1;
}
