// The three audio elements, one a slot, made once. Where the browser refuses to play before a
// gesture, the page shows a bar; any click or key tries again.

import { cell, type Meeting } from "../../../sdk/src/index";

export class Sound {
  /** Whether the browser keeps us silent. */
  readonly blocked = cell(false);
  readonly #elements: HTMLAudioElement[] = [];
  readonly #meeting: Meeting;
  readonly #stop: (() => void)[] = [];

  constructor(meeting: Meeting, host: HTMLElement) {
    this.#meeting = meeting;
    const open = () => this.#open(host);
    this.#stop.push(meeting.slotList.subscribe(open));
    const again = () => {
      if (this.blocked.get()) this.play();
    };
    for (const gesture of ["click", "keydown"] as const) {
      document.addEventListener(gesture, again);
      this.#stop.push(() => document.removeEventListener(gesture, again));
    }
    open();
  }

  /** Plays everything; called by a gesture. */
  play(): void {
    for (const element of this.#elements) this.#start(element);
  }

  close(): void {
    for (const stop of this.#stop) stop();
    for (const element of this.#elements) {
      element.srcObject = null;
      element.remove();
    }
  }

  #open(host: HTMLElement): void {
    for (const { mid, kind } of this.#meeting.slotList.get()) {
      if (kind !== "audio" || this.#elements.some((element) => element.dataset["slot"] === mid)) continue;
      const element = document.createElement("audio");
      element.dataset["slot"] = mid;
      element.autoplay = true;
      element.addEventListener("playing", () => this.blocked.set(false));
      this.#elements.push(element);
      host.append(element);
      this.#meeting.attach(mid, element);
      this.#start(element);
    }
  }

  #start(element: HTMLAudioElement): void {
    element.play().then(
      () => this.blocked.set(false),
      (error: unknown) => {
        if (error instanceof DOMException && error.name === "NotAllowedError") this.blocked.set(true);
      },
    );
  }
}

/** The level of a microphone track, 0 to 1, told ten times a second; returns what stops it. */
export function meter(track: MediaStreamTrack, tell: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    const decibel = 10 * Math.log10(power + 1e-10);
    tell(Math.min(Math.max((decibel + 60) / 60, 0), 1));
  }, 100);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}

/** A short chord on an output device, to try the speaker. */
export async function testSound(sink: string): Promise<void> {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const gain = context.createGain();
  gain.gain.setValueAtTime(0.2, context.currentTime);
  gain.gain.exponentialRampToValueAtTime(0.001, context.currentTime + 1.2);
  gain.connect(out);
  for (const frequency of [440, 554, 659]) {
    const tone = context.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(gain);
    tone.start();
    tone.stop(context.currentTime + 1.2);
  }
  const element = new Audio();
  element.srcObject = out.stream;
  if (sink) await element.setSinkId?.(sink);
  await element.play();
  setTimeout(() => void context.close(), 1500);
}
