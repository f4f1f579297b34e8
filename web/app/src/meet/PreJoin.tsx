// Before the meeting: look, sound, name. A missing or refused device never stands in the way.

import { type FormEvent, useEffect, useRef, useState } from "react";
import { range } from "../i18n/format";
import { t } from "../i18n/t";
import { Button } from "../ui/Button";
import { Line } from "../ui/fields";
import { useCell } from "../ui/useCell";
import { CameraButton, LevelMeter, MuteButton } from "./sourceButtons";
import { DeviceChoice, DeviceHelp, SpeakerChoice } from "./devices";
import { OwnPicture } from "./OwnPicture";
import styles from "./PreJoin.module.css";
import { useSession } from "./session";
import { cutName, headingOf, NAME_LIMIT } from "./words";

export function PreJoin() {
  const session = useSession();
  const { meeting, settings } = session;
  const info = useCell(meeting.info);
  const camera = useCell(meeting.local.sources.camera);
  const [refused] = useState(meeting.detail.get()["need"] === "name");
  const [name, setName] = useState(cutName(settings.get().name || (info?.link.display_name ?? "")));
  const [error, setError] = useState<"prejoin.nameMissing" | "prejoin.nameRefused" | null>(refused ? "prejoin.nameRefused" : null);
  const field = useRef<HTMLInputElement>(null);
  const submit = useRef<HTMLButtonElement>(null);
  const ready = info !== null;
  const named = useRef(name !== "" && !refused);
  useEffect(() => {
    if (ready) (named.current ? submit : field).current?.focus();
  }, [ready]);
  if (!info) return null;
  const { room, link } = info;
  const admitted = settings.get().admittedTo === meeting.invitation.code;

  const join = (event: FormEvent) => {
    event.preventDefault();
    const given = name.trim();
    if (!given) {
      setError("prejoin.nameMissing");
      field.current?.focus();
      return;
    }
    settings.update((kept) => ({ ...kept, name: given }));
    void meeting.join(given);
  };

  return (
    <main className={styles["page"]}>
      <header className={styles["header"]}>
        <h1>{headingOf(room.title, room.host_name)}</h1>
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
            onChange={(value) => { setName(value); setError(null); }}
            error={error && t(error)}
            maxLength={NAME_LIMIT}
            autoComplete="name"
            inputRef={field}
          />
          <DeviceChoice source="camera" />
          <DeviceChoice source="mic" />
          <LevelMeter />
          <SpeakerChoice />
          <Button type="submit" tone="primary" ref={submit}>{t(link.lobby && !admitted ? "prejoin.ask" : "prejoin.join")}</Button>
        </form>
      </div>
    </main>
  );
}
