// One tile: a picture or an avatar with a name under it. Plain DOM, because pictures, speaking rings
// and frame counters change many times a second and React must not.

import type { Participant, Source } from "../../../sdk/src/index";
import { initials } from "./initials";
import type { Box } from "./layout";

export type TileState = "live" | "off" | "frozen" | "starting";

/** What stands on a tile. */
export interface TileLabel {
  participant: Participant;
  source: Source;
  name: string;
  /** Words that describe the person, such as "host, muted". */
  words: string;
  marked: boolean;
  /** Place in the order of raised hands, from 1; 0 without. */
  hand: number;
  /** The name of the tile's menu. */
  options: string;
  /** What stands on a picture that has stopped. */
  frozen: string;
}

const SVG = "http://www.w3.org/2000/svg";
/** Paths of the two signs before a name, drawn on a 24 x 24 grid. */
const MUTED = ["M2 2l20 20", "M9 9v3a3 3 0 0 0 5 2.2", "M15 9.3V5a3 3 0 0 0-5.9-.7", "M17 17a7 7 0 0 1-12-5v-2", "M19 10v2a7 7 0 0 1-.1 1.2", "M12 19v3"];
const VERIFIED = ["M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z", "M9 12l2 2 4-4"];
const HAND = ["M18 11V6a2 2 0 0 0-4 0v4", "M14 10V4a2 2 0 0 0-4 0v6", "M10 10V6a2 2 0 0 0-4 0v8", "M18 8a2 2 0 1 1 4 0v6a8 8 0 0 1-8 8h-2c-2.800 0-4.500-.9-6-2.300l-3.600-3.600a2 2 0 0 1 2.800-2.800L7 15"];
const DOTS = ["M12 5v.01", "M12 12v.01", "M12 19v.01"];

let serial = 0;

export class Tile {
  readonly element = document.createElement("div");
  readonly video: HTMLVideoElement | null;
  /** Somebody asks for the tile's menu. */
  onMenu: (participant: string, button: HTMLElement) => void = () => {};

  readonly #name = div("tile-name", "span");
  readonly #muted = icon(MUTED);
  readonly #verified = icon(VERIFIED);
  readonly #avatar = div("tile-avatar");
  readonly #hand = div("tile-hand");
  readonly #handNumber = div("", "span");
  readonly #frozen = div("tile-frozen");
  readonly #description = div("visually-hidden", "span");
  readonly #options = document.createElement("button");
  #framesAt = 0;
  #frames = 0;

  /** `slot` is null for a tile without a picture: somebody whose camera is off. */
  constructor(slot: string | null) {
    const { element } = this;
    element.className = "tile";
    element.dataset["frames"] = "0";
    this.#avatar.setAttribute("aria-hidden", "true");
    this.#hand.setAttribute("aria-hidden", "true");
    this.#hand.append(icon(HAND), this.#handNumber);
    const label = div("tile-label");
    label.setAttribute("aria-hidden", "true");
    label.append(this.#muted, this.#verified, this.#name);
    this.#description.id = `tile-${(serial += 1)}`;
    this.#options.type = "button";
    this.#options.className = "tile-options";
    this.#options.setAttribute("aria-haspopup", "menu");
    this.#options.dataset["control"] = "tile";
    this.#options.append(icon(DOTS));
    this.#options.addEventListener("click", () => this.onMenu(element.dataset["participant"] ?? "", this.#options));
    element.append(this.#avatar);
    this.video = slot === null ? null : picture();
    if (this.video) {
      element.dataset["slot"] = slot ?? "";
      element.append(this.video);
    }
    element.append(this.#frozen, label, this.#hand, this.#description, this.#options);
    this.rest();
  }

  /** Shows this person from now on. */
  show({ participant, source, name, words, marked, hand, options, frozen }: TileLabel): void {
    const { element } = this;
    element.inert = false;
    element.dataset["testid"] = "tile";
    element.dataset["participant"] = participant.id;
    element.dataset["source"] = source;
    element.setAttribute("role", "group");
    attribute(element, "aria-label", name);
    attribute(element, "aria-describedby", this.#description.id);
    attribute(this.#options, "aria-label", options);
    text(this.#name, name);
    text(this.#description, words);
    text(this.#avatar, initials(participant.name));
    this.#avatar.style.setProperty("--avatar", `var(--avatar-${hash(participant.id) % 8})`);
    toggle(this.#muted, source !== "screen" && !participant.tracks.mic);
    toggle(this.#verified, marked);
    toggle(this.#hand, source !== "screen" && hand > 0);
    text(this.#frozen, frozen);
    text(this.#handNumber, String(hand));
    element.classList.toggle("tile-fit", source === "screen");
    element.classList.remove("tile-resting");
  }

  /** Nobody is here. The picture stays in the layout, because hidden ones tell of no frames. */
  rest(): void {
    const { element } = this;
    if (element.classList.contains("tile-resting")) return;
    element.classList.add("tile-resting");
    element.inert = true;
    for (const name of ["testid", "participant", "source", "state"]) delete element.dataset[name];
    for (const name of ["role", "aria-label", "aria-describedby"]) element.removeAttribute(name);
    this.speaking(false);
  }

  /** Focuses what can be pressed here. */
  focus(): void {
    this.#options.focus();
  }

  get resting(): boolean {
    return this.element.classList.contains("tile-resting");
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

  /** For how long the picture has stood still, in milliseconds; 0 before its first frame. */
  stillFor(now: number): number {
    return this.#frames === 0 ? 0 : now - this.#framesAt;
  }

  get frames(): number {
    return this.#frames;
  }

}

/** Puts something of the stage where it belongs. */
export function place({ style }: HTMLElement, { x, y, w, h }: Box): void {
  style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  style.width = `${Math.round(w)}px`;
  style.height = `${Math.round(h)}px`;
}

function div(className: string, tag: "div" | "span" = "div"): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}

function picture(): HTMLVideoElement {
  const video = document.createElement("video");
  video.autoplay = true;
  video.muted = true; // sound comes from the audio elements
  video.playsInline = true;
  video.disablePictureInPicture = true;
  video.setAttribute("aria-hidden", "true");
  video.tabIndex = -1;
  return video;
}

function icon(paths: readonly string[]): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "tile-icon");
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

function attribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function text(element: Element, value: string): void {
  if (element.textContent !== value) element.textContent = value;
}

function toggle(element: Element, on: boolean): void {
  element.toggleAttribute("hidden", !on);
}

function hash(id: string): number {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return sum;
}
