// Before the meeting: look, sound, name. A missing or refused device never stands in the way.

import { type FormEvent, useRef, useState } from "react";
import { range } from "../i18n/format";
import { t } from "../i18n/t";
import { Button } from "../ui/Button";
import { Line } from "../ui/fields";
import { useCell } from "../ui/useCell";
import { CameraButton, LevelMeter, MuteButton } from "./sourceButtons";
import { DeviceChoice, DeviceHelp, SpeakerChoice, useLatePermission } from "./devices";
import { OwnPicture } from "./OwnPicture";
import styles from "./PreJoin.module.css";
import { useSession } from "./session";

export function PreJoin() {
  const session = useSession();
  const { meeting, settings } = session;
  const info = useCell(meeting.info);
  const camera = useCell(meeting.local.sources.camera);
  const [name, setName] = useState(settings.get().name || (info?.link.display_name ?? ""));
  const [missing, setMissing] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useLatePermission();
  if (!info) return null;
  const { room, link } = info;
  const admitted = settings.get().admittedTo === meeting.invitation.code;

  const join = (event: FormEvent) => {
    event.preventDefault();
    const given = name.trim();
    if (!given) {
      setMissing(true);
      field.current?.focus();
      return;
    }
    settings.update((kept) => ({ ...kept, name: given }));
    void meeting.join(given);
  };

  return (
    <main className={styles["page"]}>
      <header className={styles["header"]}>
        <h1>{room.host_name ? t("prejoin.with", { title: room.title, host: room.host_name }) : room.title}</h1>
        {room.starts_at ? <p className={styles["when"]}>{range(room.starts_at, room.ends_at)}</p> : null}
      </header>
      <div className={styles["columns"]}>
        <section aria-label={t("prejoin.preview")} className={styles["look"]}>
          <OwnPicture className={styles["picture"]}>
            {camera.on ? null : <span>{t("prejoin.cameraOff")}</span>}
            {camera.starting ? <span>{t("prejoin.cameraStarting")}</span> : null}
          </OwnPicture>
          <div className={styles["switches"]}><MuteButton /><CameraButton /></div>
          <DeviceHelp source="camera" />
          <DeviceHelp source="mic" />
        </section>
        <form className={styles["form"]} onSubmit={join} noValidate>
          <p className={styles["lead"]}>{t("prejoin.heading")}</p>
          <Line
            label={t("prejoin.name")}
            value={name}
            onChange={(value) => { setName(value); setMissing(false); }}
            error={missing ? t("prejoin.nameMissing") : null}
            maxLength={80}
            autoComplete="name"
            inputRef={field}
          />
          <DeviceChoice source="camera" />
          <DeviceChoice source="mic" />
          <LevelMeter />
          <SpeakerChoice />
          <Button type="submit" tone="primary">{t(link.lobby && !admitted ? "prejoin.ask" : "prejoin.join")}</Button>
        </form>
      </div>
    </main>
  );
}
