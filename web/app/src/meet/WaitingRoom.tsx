// Behind the door: the place, the host's words, a line back. No roster, no peer connection.

import { type FormEvent, useState } from "react";
import type { Waiting } from "../../../sdk/src/index";
import { moment } from "../i18n/format";
import { t } from "../i18n/t";
import { Button } from "../ui/Button";
import { Line, Note } from "../ui/fields";
import { useCell } from "../ui/useCell";
import { CameraButton, MuteButton } from "./sourceButtons";
import { DeviceHelp } from "./devices";
import { FocusedHeading } from "./FocusedHeading";
import { OwnPicture } from "./OwnPicture";
import { useSession } from "./session";
import styles from "./WaitingRoom.module.css";
import { fullText } from "./words";

export function WaitingRoom() {
  const session = useSession();
  const { meeting } = session;
  const waiting = useCell(meeting.waiting);
  const lost = useCell(meeting.signalingLost);
  const info = useCell(meeting.info);
  const [text, setText] = useState("");
  const [sent, setSent] = useState(false);
  const host = info?.room.host_name ?? t("waiting.theHost");

  const write = async (event: FormEvent) => {
    event.preventDefault();
    const line = text.trim();
    if (line && (await session.wish(meeting.request("lobby.say", { text: line })))) {
      setText("");
      setSent(true);
    }
  };

  return (
    <main className={styles["page"]}>
      <section aria-label={t("waiting.region")} className={styles["card"]}>
        <p className={styles["title"]}>{info?.room.title}</p>
        <FocusedHeading>
          {t(waiting.hostPresent && waiting.waits !== "seat" ? "waiting.hostKnows" : "waiting.here", { host })}
        </FocusedHeading>
        <p role="status" aria-label={t("waiting.place")} className={styles["place"]}>
          {waiting.waits === "seat" ? fullText(waiting.place) : waiting.hostPresent ? placeText(waiting.place) : waiting.begun ? t("waiting.hostAway", { host }) : lateText(host, waiting, meeting.serverNow())}
        </p>
        {lost ? <Note tone="warning">{t("waiting.offline")}</Note> : null}
        {waiting.message ? <p className={styles["message"]}>{waiting.message}</p> : null}
        <OwnPicture className={styles["picture"]}>
          <span aria-hidden="true">{session.settings.get().name}</span>
        </OwnPicture>
        <form className={styles["write"]} onSubmit={(event) => void write(event)}>
          <Line
            label={t("waiting.write")}
            value={text}
            onChange={(value) => { setText(value); setSent(false); }}
            maxLength={500}
          />
          <Button type="submit">{t("waiting.send")}</Button>
        </form>
        <p role="status" className={styles["sent"]}>{sent ? t("waiting.sent") : ""}</p>
        <DeviceHelp source="mic" />
        <DeviceHelp source="camera" />
        <div className={styles["controls"]}>
          <MuteButton />
          <CameraButton />
          <Button tone="danger" onPress={() => void meeting.leave()}>{t("waiting.leave")}</Button>
        </div>
      </section>
    </main>
  );
}

function lateText(host: string, { startsAt, moved }: Waiting, now: number): string {
  const late = t("waiting.hostLate", { host });
  if (startsAt === null || Date.parse(startsAt) <= now) return late;
  return `${late} ${t(moved ? "waiting.moved" : "waiting.startsAt", { time: moment(startsAt) })}`;
}

function placeText(place: number | null): string {
  if (place === null) return "";
  return place <= 1 ? t("waiting.next") : t("waiting.number", { place });
}
