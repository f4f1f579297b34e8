// Words: `t(key, values)` gives the text of a message. A function and no hook, so that tiles, toasts
// and announcements outside React use it, too. Keys are checked by the compiler.

import { IntlMessageFormat } from "intl-messageformat";
import messages from "virtual:messages";

export type MessageKey = keyof typeof messages;
export type MessageValues = Record<string, string | number>;

const LOCALE = "en";
const formats = new Map<MessageKey, IntlMessageFormat>();

/** The message with its values filled in; user text in values stays text. */
export function t(key: MessageKey, values: MessageValues = {}): string {
  let format = formats.get(key);
  if (!format) {
    format = new IntlMessageFormat(messages[key], LOCALE);
    formats.set(key, format);
  }
  return String(format.format(values));
}
