// What can be done about somebody, alike from the tile and from the list.

import { type ReactNode, useState } from "react";
import { t } from "../i18n/t";
import { Confirm } from "../ui/Dialog";
import type { MenuEntry } from "../ui/Menu";
import { useCell } from "../ui/useCell";
import { useSession } from "./session";

interface PersonMenu {
  name: string;
  entries: readonly MenuEntry[];
  /** A question that one of the entries asks before it acts. */
  dialog: ReactNode;
}

export function usePersonMenu(id: string, onClose: () => void): PersonMenu {
  const session = useSession();
  const { meeting } = session;
  const person = useCell(meeting.roster).get(id);
  const can = useCell(meeting.can);
  const pinned = useCell(session.pins).includes(id);
  const [removing, setRemoving] = useState(false);
  const name = person?.name ?? "";
  const wish = (method: string, params: object) => void session.wish(meeting.request(method, params));

  const entries: (MenuEntry | false)[] = [
    { id: "pin", text: t(pinned ? "tile.unpin" : "tile.pin"), act: () => session.togglePin(id) },
    can.has("mute") && person?.tracks.mic === true && { id: "mute", text: t("tile.mute", { name }), act: () => wish("mute", { who: id, source: "mic" }) },
    can.has("ask_unmute") && person?.tracks.mic === false && { id: "ask", text: t("tile.askUnmute"), act: () => wish("unmute.ask", { who: id }) },
    can.has("lower_hands") && meeting.hands.get().includes(id) && { id: "lower", text: t("hand.lowerOf", { name }), act: () => wish("hand.lower", { who: id }) },
    can.has("grant_cohost") && person?.role !== "cohost" && person?.role !== "host" && { id: "cohost", text: t("tile.makeCohost"), apart: true, act: () => wish("role.set", { who: id, role: "cohost" }) },
    can.has("grant_presenter") && person?.role === "participant" && { id: "presenter", text: t("tile.makePresenter"), act: () => wish("role.set", { who: id, role: "presenter" }) },
    can.has("grant_presenter") && person?.role === "presenter" && { id: "participant", text: t("tile.makeParticipant"), act: () => wish("role.set", { who: id, role: "participant" }) },
    can.has("admit") && { id: "back", text: t("tile.back"), apart: true, act: () => wish("lobby.back", { who: id }) },
    can.has("remove") && { id: "remove", text: t("tile.remove"), danger: true, act: () => setRemoving(true) },
  ];
  return {
    name,
    entries: entries.filter((entry) => entry !== false),
    dialog: removing ? (
      <Confirm
        title={t("remove.title", { name })}
        text={t("remove.text", { name })}
        confirm={t("tile.remove")}
        cancel={t("end.cancel")}
        onConfirm={() => wish("remove", { who: id })}
        onClose={() => { setRemoving(false); onClose(); }}
      />
    ) : null,
  };
}
