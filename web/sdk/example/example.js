// A meeting without the app: everybody's picture under their name, everybody's voice.
import { Meeting, parseInvitation } from "./sunup.js";

const form = document.querySelector("form");
const people = document.querySelector("#people");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const meeting = new Meeting(parseInvitation(form.link.value));
  meeting.state.subscribe(() => (form.state.value = meeting.state.get()));
  meeting.slotList.subscribe(() => meeting.slotList.get().forEach(({ mid, kind }) => play(meeting, mid, kind)));
  meeting.slots.subscribe(() => {
    for (const { slot, who } of meeting.slots.get().values()) {
      const caption = document.querySelector(`figure[data-slot="${slot}"] figcaption`);
      if (caption) caption.textContent = meeting.roster.get().get(who)?.name ?? "";
    }
  });
  await meeting.lookUp();
  await meeting.setSource("mic", true);
  await meeting.setSource("camera", true);
  await meeting.join(form.name.value);
});

function play(meeting, slot, kind) {
  if (document.querySelector(`figure[data-slot="${slot}"]`)) return;
  const figure = document.createElement("figure");
  figure.dataset.slot = slot;
  const media = document.createElement(kind === "audio" ? "audio" : "video");
  media.autoplay = media.playsInline = true;
  figure.append(media, document.createElement("figcaption"));
  people.append(figure);
  meeting.attach(slot, media);
}
