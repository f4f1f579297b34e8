// Every state in which there is no meeting on the page: one sentence, and what can be done.

import { type ReactNode, useEffect, useState } from "react";
import type { PageState, RoomSummary } from "../../../sdk/src/index";
import { beside, moment } from "../i18n/format";
import { t } from "../i18n/t";
import { Button } from "../ui/Button";
import { useCell } from "../ui/useCell";
import styles from "./EndCard.module.css";
import { FocusedHeading } from "./FocusedHeading";
import { useLookAgain } from "./lookAgain";
import { useSession } from "./session";
import { fullText, headingOf } from "./words";

interface CardProps {
  title?: string | undefined;
  text: string;
  action?: { text: string; act(): void } | undefined;
  children?: ReactNode;
}

export function Card({ title, text, action, children }: CardProps) {
  return (
    <main className={styles["page"]}>
      <div className={styles["card"]}>
        {title ? <p className={styles["title"]}>{title}</p> : null}
        <FocusedHeading>{text}</FocusedHeading>
        {action ? <Button tone="primary" onPress={action.act}>{action.text}</Button> : null}
        {children}
      </div>
    </main>
  );
}

export function EndCard({ state }: { state: PageState }) {
  const session = useSession();
  const { meeting } = session;
  const detail = useCell(meeting.detail);
  const room = useCell(meeting.room);
  const info = useCell(meeting.info);
  useLookAgain(state);
  const join = () => session.rejoin();
  const look = () => void meeting.lookUp();
  const doing = action(state, join, look, detail);
  const early = state === "early" ? detail["room"] as RoomSummary | undefined : undefined;
  const title = early ? headingOf(early.title, early.host_name) : room?.title ?? info?.room.title;
  return (
    <Card title={title} text={sentence(state, detail)} action={doing}>
      {early?.starts_at ? <p>{t("card.keepOpen")}</p> : null}
      {state === "ended" ? <UndoEnd /> : null}
    </Card>
  );
}

function sentence(state: PageState, detail: Record<string, unknown>): string {
  switch (state) {
    case "early":
      return earlyText(detail["opens_at"] as string | undefined, detail["room"] as RoomSummary | undefined);
    case "full":
      return fullText(Number(detail["place"] ?? detail["pos"] ?? 0));
    case "ended":
      return typeof detail["name"] === "string" ? t("card.endedBy", { name: detail["name"] }) : t("card.ended");
    case "denied":
      return t(detail["code"] === "closed" ? "card.locked" : "card.denied");
    case "unsupported":
    case "cancelled":
    case "removed":
    case "left":
    case "superseded":
      return t(`card.${state}`);
    case "offline":
      return t(detail["lost"] === true ? "card.lost" : "card.offline");
    default:
      return t("card.unknown");
  }
}

function earlyText(opensAt: string | undefined, room: RoomSummary | undefined): string {
  if (!opensAt) return t("card.earlySoon");
  if (!room?.starts_at) return t("card.early", { time: moment(opensAt) });
  return t("card.earlyStarts", { start: moment(room.starts_at), opens: beside(opensAt, room.starts_at) });
}

/** For ten seconds a host can take the end back. */
function UndoEnd() {
  const session = useSession();
  const { meeting } = session;
  const endsAt = useCell(meeting.endsAt);
  const can = useCell(meeting.can);
  const seconds = useSecondsUntil(endsAt);
  if (endsAt === null || !can.has("end")) return null;
  return (
    <>
      <p>{t("end.countdown", { seconds })}</p>
      <Button onPress={() => void session.wish(meeting.undoEnd())}>{t("end.undo")}</Button>
    </>
  );
}

function useSecondsUntil(moment: number | null): number {
  const left = () => (moment === null ? 0 : Math.max(0, Math.ceil((moment - performance.now()) / 1000)));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    if (moment === null) return undefined;
    const timer = setInterval(() => setSeconds(Math.max(0, Math.ceil((moment - performance.now()) / 1000))), 250);
    return () => clearInterval(timer);
  }, [moment]);
  return seconds;
}

function action(state: PageState, join: () => void, look: () => void, detail: Record<string, unknown>): CardProps["action"] {
  switch (state) {
    case "left":
      return { text: t("card.rejoin"), act: join };
    case "superseded":
      return { text: t("card.useHere"), act: join };
    case "denied":
      return { text: t(detail["code"] === "closed" ? "card.tryAgain" : "card.askAgain"), act: join };
    case "removed":
      return { text: t("card.askAgain"), act: join };
    case "offline":
      return detail["lost"] === true ? { text: t("card.rejoin"), act: join } : { text: t("card.tryAgain"), act: look };
    case "full":
    case "early":
      return { text: t("card.tryAgain"), act: look };
    default:
      return undefined;
  }
}
