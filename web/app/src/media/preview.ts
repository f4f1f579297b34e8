// The own picture in an element of the page: before the meeting, and as the self view in it.

import type { Meeting } from "../../../sdk/src/index";

/** Shows the own camera (or screen) in `host` while it is on; returns what stops it. */
export function showOwn(host: HTMLElement, meeting: Meeting): () => void {
  const video = document.createElement("video");
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  video.setAttribute("aria-hidden", "true");
  video.tabIndex = -1;
  const { camera } = meeting.local.sources;
  const draw = () => {
    const { track, on } = camera.get();
    const shown = on ? track : null;
    video.hidden = shown === null;
    const current = video.srcObject instanceof MediaStream ? video.srcObject.getVideoTracks()[0] : null;
    if (current === shown) return;
    video.srcObject = shown ? new MediaStream([shown]) : null;
  };
  const stop = camera.subscribe(draw);
  host.prepend(video);
  draw();
  return () => {
    stop();
    video.srcObject = null;
    video.remove();
  };
}
