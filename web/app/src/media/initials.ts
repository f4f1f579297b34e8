// The letters on the tile of somebody whose camera is off.

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;

/** Of the first and the last word the first letter or digit; of a name without any its first character. */
export function initials(name: string): string {
  const letters = name.split(/\s+/).flatMap((word) => characters(word).find((character) => LETTER_OR_DIGIT.test(character)) ?? []);
  const [first, last] = [letters[0], letters.length > 1 ? letters.at(-1) : undefined];
  return `${first ?? characters(name.trim())[0] ?? ""}${last ?? ""}`.toUpperCase();
}

/** What a reader takes for one character, be it made of several, such as a letter with its accent. */
function characters(text: string): string[] {
  return [...graphemes.segment(text)].map(({ segment }) => segment);
}
