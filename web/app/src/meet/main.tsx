// The entry of the meeting page: reads the link, makes the meeting, draws it.

import { createRoot } from "react-dom/client";
import { Meeting } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import "../tokens/tokens.css";
import "../tokens/reset.css";
import "../tokens/stage.css";
import { Announcer } from "./announcer";
import { App } from "./App";
import { Card } from "./EndCard";
import { narrate } from "./narrate";
import { mirrorState } from "./page";
import { storageOrNull, takeInvitation } from "./secret";
import { Session, SessionContext } from "./session";
import { openSettings } from "./settings";

function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`meet.html has no #${id}`);
  return element;
}

const root = createRoot(byId("app"));
const invitation = takeInvitation(location, history, storageOrNull(() => sessionStorage));
const settings = openSettings(storageOrNull(() => localStorage));

if (invitation) {
  const meeting = new Meeting(invitation, { client: "sunup-web" });
  const session = new Session(meeting, settings, new Announcer(byId("polite"), byId("assertive")));
  mirrorState(session);
  narrate(session);
  root.render(<SessionContext value={session}><App /></SessionContext>);
  void meeting.lookUp();
  // Another link opened in this tab changes the fragment only: the page starts again with it.
  addEventListener("hashchange", () => {
    const other = takeInvitation(location, history, storageOrNull(() => sessionStorage));
    if (other && other.secret !== invitation.secret) location.reload();
  });
} else {
  document.documentElement.dataset["roomState"] = "unknown";
  root.render(<Card text={t("card.unknown")} />);
}
