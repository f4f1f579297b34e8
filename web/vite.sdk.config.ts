// Builds the SDK alone into dist/sdk/sunup.js, beside its example page.

import { resolve } from "node:path";
import { defineConfig } from "vite";

const here = import.meta.dirname;

export default defineConfig({
  publicDir: resolve(here, "sdk/example"),
  build: {
    outDir: resolve(here, "dist/sdk"),
    emptyOutDir: true,
    target: ["chrome120", "firefox128", "safari17.4"],
    lib: { entry: resolve(here, "sdk/src/index.ts"), formats: ["es"], fileName: () => "sunup.js" },
  },
});
