// Builds the pages of app/ into dist/. Messages are compiled here, so that no parser is shipped.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "@formatjs/icu-messageformat-parser";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const here = import.meta.dirname;
const MESSAGES = "virtual:messages";

/** `virtual:messages` is locales/en.json with each ICU message as its syntax tree. */
function messages(): Plugin {
  const file = resolve(here, "app/locales/en.json");
  return {
    name: "sunup-messages",
    resolveId: (id) => (id === MESSAGES ? `\0${MESSAGES}` : null),
    load(id) {
      if (id !== `\0${MESSAGES}`) return null;
      this.addWatchFile(file);
      const catalogue = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
      const compiled = Object.entries(catalogue).map(([key, text]) => [key, parse(text, { ignoreTag: true })]);
      return `export default ${JSON.stringify(Object.fromEntries(compiled))};`;
    },
  };
}

export default defineConfig({
  root: resolve(here, "app"),
  publicDir: false,
  plugins: [react(), messages()],
  resolve: {
    alias: {
      "@formatjs/icu-messageformat-parser": resolve(here, "node_modules/@formatjs/icu-messageformat-parser/no-parser.js"),
    },
  },
  build: {
    outDir: resolve(here, "dist"),
    emptyOutDir: true,
    manifest: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ["chrome120", "firefox128", "safari17.4"],
    rolldownOptions: { input: { meet: resolve(here, "app/meet.html") } },
  },
  test: {
    root: here,
    environment: "node", // a test that needs a page says so: @vitest-environment happy-dom
    include: ["sdk/tests/**/*.test.ts", "app/tests/**/*.test.{ts,tsx}", "tools/**/*.test.ts"],
  },
});
