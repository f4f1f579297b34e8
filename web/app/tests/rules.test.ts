// Rules of the code that a linter can't say.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import messages from "../locales/en.json";

const web = resolve(import.meta.dirname, "../..");

interface Source {
  path: string;
  text: string;
}

function sources(folder: string, endings: RegExp): Source[] {
  return readdirSync(join(web, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => endings.test(name))
    .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(join(web, folder, name), "utf8") }));
}

const sdk = sources("sdk/src", /\.ts$/);
const app = sources("app/src", /\.tsx?$/);
const styles = sources("app/src", /\.css$/);

/** What a file imports: folders of this repository as paths from web/, packages by name. */
function imports({ path, text }: Source): string[] {
  const named = [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name]) => name ?? "");
  return named.map((name) => (name.startsWith(".") ? relative(web, resolve(web, dirname(path), name)) : name));
}

/** Files that break the rule, with what breaks it. */
function offenders(files: Source[], broken: (source: Source) => string[]): string[] {
  return files.flatMap((source) => broken(source).map((what) => `${source.path}: ${what}`));
}

const MEDIA = /\b(?:RTCPeerConnection|getUserMedia|getDisplayMedia|HTMLVideoElement|HTMLAudioElement|srcObject|new MediaStream|new AudioContext)\b|<(?:video|audio)\b/g;

describe("imports", () => {
  it("of the SDK stay in the SDK: it has no dependency and knows no app", () => {
    expect(offenders(sdk, (source) => imports(source).filter((name) => !name.startsWith("sdk/src/")))).toEqual([]);
  });

  it("of the app reach the SDK by its public names only", () => {
    expect(offenders(app, (source) => imports(source).filter((name) => name.startsWith("sdk/") && name !== "sdk/src/index"))).toEqual([]);
  });

  it("of src/media bring in no React: pictures never pass through it", () => {
    const media = app.filter(({ path }) => path.startsWith("app/src/media/"));
    expect(offenders(media, (source) => imports(source).filter((name) => /react/.test(name)))).toEqual([]);
  });
});

describe("media", () => {
  it("is touched by the SDK and src/media alone", () => {
    const others = app.filter(({ path }) => !path.startsWith("app/src/media/"));
    expect(offenders(others, ({ text }) => text.match(MEDIA) ?? [])).toEqual([]);
  });

  it("rule finds an offence", () => {
    const planted = { path: "app/src/meet/Planted.tsx", text: "video.srcObject = stream; return <video />;" };
    expect(offenders([planted], ({ text }) => text.match(MEDIA) ?? [])).toHaveLength(2);
  });
});

describe("styles", () => {
  it("name no colour outside of the tokens", () => {
    const others = styles.filter(({ path }) => !path.endsWith("tokens.css"));
    expect(offenders(others, ({ text }) => text.match(/#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(/gi) ?? [])).toEqual([]);
  });

  it("know no left and right, so that every page turns round for right-to-left readers", () => {
    const sided = /(?:^|[\s;{])(?:left|right|(?:margin|padding|border)-(?:left|right)[\w-]*|text-align:\s*(?:left|right))\s*[:;]/g;
    expect(offenders(styles, ({ text }) => text.match(sided) ?? [])).toEqual([]);
  });
});

describe("the messages", () => {
  const all = app.map(({ text }) => text).join("\n");
  const prefixes = [...all.matchAll(/`([\w.]+)\$\{/g)].map(([, prefix]) => prefix ?? "");

  it("are all used", () => {
    const unused = Object.keys(messages).filter((key) => !all.includes(`"${key}"`) && !prefixes.some((prefix) => prefix && key.startsWith(prefix)));
    expect(unused).toEqual([]);
  });

  it("carry no exclamation mark and no please", () => {
    expect(Object.values(messages).filter((text) => /!|please/i.test(text))).toEqual([]);
  });
});
