// One tile: a picture or an avatar with a name under it. Plain DOM, because pictures, speaking rings
// and frame counters change many times a second and React must not.

import type { Participant, Source } from "../../../sdk/src/index";

export type TileState = "live" | "off" | "frozen" | "starting";

const AVATARS = ["#8A3B12", "#7A4B00", "#4D5B00", "#1E6B3A", "#0B6470", "#1F4FC4", "#6A3BB5", "#A02668"];

let serial = 0;

export class Tile {
  readonly element = document.createElement("div");
  readonly video: HTMLVideoElement | null;
  readonly #name = document.createElement("span");
  readonly #mark = document.createElement("span");
  readonly #avatar = document.createElement("div");
  readonly #description = document.createElement("span");
  #framesAt = 0;
  #frames = 0;

  /** `slot` is null for a tile without a picture: somebody whose camera is off. */
  constructor(slot: string | null) {
    const { element } = this;
    element.className = "tile";
    element.dataset["testid"] = "tile";
    element.dataset["frames"] = "0";
    element.setAttribute("role", "group");
    element.tabIndex = -1;
    this.#avatar.className = "tile-avatar";
    this.#avatar.setAttribute("aria-hidden", "true");
    const label = document.createElement("div");
    label.className = "tile-label";
    label.setAttribute("aria-hidden", "true");
    this.#mark.className = "tile-mark";
    label.append(this.#mark, this.#name);
    this.#description.className = "visually-hidden";
    this.#description.id = `tile-${(serial += 1)}`;
    element.setAttribute("aria-describedby", this.#description.id);
    element.append(this.#avatar);
    if (slot === null) {
      this.video = null;
    } else {
      element.dataset["slot"] = slot;
      this.video = document.createElement("video");
      this.video.autoplay = true;
      this.video.muted = true; // sound comes from the audio elements
      this.video.playsInline = true;
      this.video.disablePictureInPicture = true;
      this.video.setAttribute("aria-hidden", "true");
      this.video.tabIndex = -1;
      element.append(this.video);
    }
    element.append(label, this.#description);
  }

  /** Says who is shown; `words` describe them, such as "host, muted". */
  label(participant: Participant, source: Source, name: string, words: string): void {
    const { element } = this;
    element.dataset["participant"] = participant.id;
    element.dataset["source"] = source;
    if (element.getAttribute("aria-label") !== name) element.setAttribute("aria-label", name);
    if (this.#name.textContent !== name) {
      this.#name.textContent = name;
      this.#avatar.textContent = initials(participant.name);
      this.#avatar.style.setProperty("--avatar", AVATARS[hash(participant.id) % AVATARS.length] ?? "");
    }
    if (this.#description.textContent !== words) this.#description.textContent = words;
    this.#mark.dataset["muted"] = String(source !== "screen" && !participant.tracks.mic);
    this.#mark.dataset["verified"] = String(participant.verified);
    element.classList.toggle("tile-fit", source === "screen");
  }

  state(state: TileState): void {
    if (this.element.dataset["state"] !== state) this.element.dataset["state"] = state;
  }

  speaking(on: boolean): void {
    this.element.classList.toggle("tile-speaking", on);
  }

  /** A frame came on the screen. */
  frame(frames: number, now: number): void {
    this.#frames = frames;
    this.#framesAt = now;
    this.element.dataset["frames"] = String(frames);
  }

  /** Whether a picture that should move has stood still. */
  stillFor(now: number): number {
    return this.#frames === 0 ? 0 : now - this.#framesAt;
  }

  place(x: number, y: number, w: number, h: number): void {
    const { style } = this.element;
    style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    style.width = `${Math.round(w)}px`;
    style.height = `${Math.round(h)}px`;
  }
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined];
  return letters.map((word) => [...(word ?? "")][0] ?? "").join("").toUpperCase();
}

function hash(text: string): number {
  let sum = 0;
  for (const character of text) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return sum;
}
