// What the document itself shows of the meeting: the state that scripts read, the tab's title, the
// theme; and what the page does when it goes or comes back.

import { t } from "../i18n/t";
import type { Session } from "./session";

const ROOM_STATES = new Set(["live", "reconnecting", "connecting"]);

/** Keeps the document like the meeting, for ever. */
export function mirrorState(session: Session): void {
  const { meeting, settings } = session;
  const html = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const draw = () => {
    const state = meeting.state.get();
    const broken = state === "live" && (meeting.signalingLost.get() || meeting.mediaLost.get());
    const shown = broken ? "reconnecting" : state;
    html.dataset["roomState"] = shown;
    html.dataset["theme"] = ROOM_STATES.has(shown) ? settings.get().theme : dark.matches ? "dark" : "light";
    const title = meeting.room.get()?.title ?? meeting.info.get()?.room.title;
    const count = meeting.lobby.get().list.length;
    if (!title) document.title = t("app.name");
    else document.title = count > 0 ? t("title.waiting", { count, title }) : t("title.meeting", { title });
  };
  for (const cell of [meeting.state, meeting.signalingLost, meeting.mediaLost, meeting.room, meeting.info, meeting.lobby, settings]) {
    cell.subscribe(draw);
  }
  dark.addEventListener("change", draw);
  addEventListener("online", () => meeting.hurry());
  meeting.state.subscribe(() => {
    const state = meeting.state.get();
    if (state === "prejoin") session.startRemembered();
    const admittedTo = { live: meeting.invitation.code, denied: "", removed: "", waiting: "" }[state as string];
    if (admittedTo !== undefined && admittedTo !== settings.get().admittedTo) settings.update((kept) => ({ ...kept, admittedTo }));
  });
  draw();
}
