// Texts of the pages: ICU messages in locales/*.json, typed by their keys. A plain function, not a
// hook, so that DOM code outside React uses it as well.

import { IntlMessageFormat } from "intl-messageformat";
import en from "./locales/en.json";

export type Key = keyof typeof en;
type Values = Record<string, string | number>;

const formats = new Map<Key, IntlMessageFormat>();

/** The text of `key`, with its variables put in. */
export function t(key: Key, values?: Values): string {
  let format = formats.get(key);
  if (!format) {
    format = new IntlMessageFormat(en[key], "en");
    formats.set(key, format);
  }
  return String(format.format(values));
}

/** Hours and minutes in the viewer's zone and manner. */
export function clock(iso: string): string {
  return new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(new Date(iso));
}
