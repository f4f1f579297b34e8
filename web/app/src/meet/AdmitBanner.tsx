// Who waits at the door, over the stage, for those who may open it. The list in the People panel
// says the same, and all that was written to the door; only one of them is shown.

import { linesOf } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import { Button } from "../ui/Button";
import { useCell } from "../ui/useCell";
import styles from "./AdmitBanner.module.css";
import { useSession } from "./session";
import { NAMED, seatText, waitingText } from "./words";

export function AdmitBanner() {
  const { meeting, wish, admit } = useSession();
  const lobby = useCell(meeting.lobby);
  const { list } = lobby;
  const [first] = list;
  if (!first) return null;
  const asking = list.filter(({ waits }) => waits !== "seat");
  const line = list.flatMap(({ participant }) => linesOf(lobby, participant)).toSorted((a, b) => a.at.localeCompare(b.at)).at(-1);
  return (
    <section aria-label={t("people.waiting")} data-region="waiting" data-focus-next="people" className={styles["banner"]}>
      <span className={styles["text"]}>
        {asking.length === 0 ? seatText(list) : waitingText(list)}
        {line ? <small className={styles["line"]}>{t("lobby.line", { name: line.name, text: line.text })}</small> : null}
      </span>
      <div className={styles["buttons"]}>
        {asking.length > NAMED ? null : asking.map(({ participant, name }) => (
          <Button key={participant} tone="primary" data-control="admit" aria-label={t("lobby.admit", { name })} onPress={() => void admit(meeting.admit(participant))}>
            {list.length === 1 ? t("lobby.admitShort") : t("lobby.admit", { name })}
          </Button>
        ))}
        {list.length === 1 ? (
          <Button data-control="deny" aria-label={t("lobby.deny", { name: first.name })} onPress={() => void wish(meeting.deny(first.participant))}>
            {t("lobby.denyShort")}
          </Button>
        ) : asking.length > 1 ? (
          <Button onPress={() => void admit(meeting.admitAll())}>{t("lobby.admitAll")}</Button>
        ) : null}
      </div>
    </section>
  );
}
