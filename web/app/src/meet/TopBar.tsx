// The line over the stage: what this is, for how long, who shares, how the connection is, who waits.

import { useEffect, useRef, useState } from "react";
import { duration } from "../i18n/format";
import { t } from "../i18n/t";
import { LockIcon } from "../ui/Icon";
import { useCell } from "../ui/useCell";
import { AdmitBanner } from "./AdmitBanner";
import { useSession } from "./session";
import styles from "./TopBar.module.css";

/** A blip is not worth a word before this, in milliseconds. */
const SHOWN_AFTER = 5000;

export function TopBar({ sharing }: { sharing: string | null }) {
  const { meeting, panel } = useSession();
  const room = useCell(meeting.room);
  const { on } = useCell(meeting.local.sources.screen);
  const peopleOpen = useCell(panel) === "people";
  const lost = useLostForLong();
  return (
    <div className={styles["top"]}>
      <h1 className={styles["title"]}>{room?.title}</h1>
      {room?.started_at ? <Clock since={room.started_at} /> : null}
      {room?.locked ? <span className={styles["locked"]}><LockIcon size={16} aria-hidden="true" /> {t("room.locked")}</span> : null}
      <p className={styles["sharing"]}>{on ? t("room.youSharing") : sharing ? t("room.sharing", { name: sharing }) : ""}</p>
      <p role="status" aria-label={t("connection.status")} className={lost ? styles["lost"] : styles["well"]}>{lost ? t("connection.lost") : ""}</p>
      {peopleOpen ? null : <AdmitBanner />}
    </div>
  );
}

/** Minutes and seconds since the start, by the server's clock; written without React. */
function Clock({ since }: { since: string }) {
  const { meeting } = useSession();
  const ref = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const draw = () => {
      if (ref.current) ref.current.textContent = duration(meeting.serverNow() - Date.parse(since));
    };
    draw();
    const timer = setInterval(draw, 1000);
    return () => clearInterval(timer);
  }, [meeting, since]);
  return <span ref={ref} role="timer" aria-live="off" className={styles["clock"]} />;
}

function useLostForLong(): boolean {
  const { meeting } = useSession();
  const signaling = useCell(meeting.signalingLost);
  const media = useCell(meeting.mediaLost);
  const lost = signaling || media;
  const [long, setLong] = useState(false);
  useEffect(() => {
    if (!lost) return undefined;
    const timer = setTimeout(() => setLong(true), SHOWN_AFTER);
    return () => {
      clearTimeout(timer);
      setLong(false);
    };
  }, [lost]);
  return long;
}
