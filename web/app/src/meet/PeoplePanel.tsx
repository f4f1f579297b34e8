// Who waits, whose hand is up, who is in the room.

import { memo, useState } from "react";
import { linesOf, type Participant } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import { Button, IconButton } from "../ui/Button";
import { Line } from "../ui/fields";
import { RowMenuIcon, VerifiedIcon } from "../ui/Icon";
import { MenuButton } from "../ui/Menu";
import { useCell } from "../ui/useCell";
import { Panel } from "./Panel";
import styles from "./PeoplePanel.module.css";
import { usePersonMenu } from "./personMenu";
import { useSession } from "./session";
import { describe, isStaff } from "./words";

/** Rows in the page at once; a search finds the others. */
const MOST_ROWS = 50;
const SEARCH_FROM = 10;
/** Of what somebody wrote through the door. */
const MOST_LINES = 5;

export function PeoplePanel() {
  const session = useSession();
  const { meeting } = session;
  const roster = useCell(meeting.roster);
  const count = useCell(meeting.count);
  const hands = useCell(meeting.hands);
  const can = useCell(meeting.can);
  const locked = useCell(meeting.room)?.locked ?? false;
  const me = useCell(meeting.me)?.id;
  const [search, setSearch] = useState("");
  const people = [...roster.values()].toSorted((a, b) => (a.joined_at ?? "").localeCompare(b.joined_at ?? ""));
  const found = search ? people.filter(({ name }) => name.toLowerCase().includes(search.toLowerCase())) : people;
  const shown = found.slice(0, MOST_ROWS);
  const unseen = search ? found.length - shown.length : Math.max(count - shown.length, found.length - shown.length);
  return (
    <Panel name={t("people.region")} heading={t("people.heading", { count })} close={t("people.close")}>
      <div className={styles["scroll"]}>
        <Waiting />
        {hands.length > 0 ? <Hands /> : null}
        <h3 className={styles["subheading"]}>{t("people.inRoom")}</h3>
        {people.length >= SEARCH_FROM ? <Line label={t("people.search")} value={search} onChange={setSearch} /> : null}
        <ul>
          {shown.map((person) => (
            <Row key={person.id} person={person} mine={person.id === me} hand={hands.indexOf(person.id) + 1} />
          ))}
        </ul>
        {unseen > 0 ? <p className={styles["unseen"]}>{t("people.more", { count: unseen })}</p> : null}
      </div>
      {can.has("mute") || can.has("lock") ? (
        <div className={styles["foot"]}>
          {can.has("mute") ? (
            <Button onPress={() => void session.wish(meeting.request("mute", { all: true, source: "mic" }))}>{t("people.muteAll")}</Button>
          ) : null}
          {can.has("lock") ? (
            <Button onPress={() => void session.wish(meeting.request("room.lock", { on: !locked }))}>{t(locked ? "people.unlock" : "people.lock")}</Button>
          ) : null}
        </div>
      ) : null}
    </Panel>
  );
}

function Waiting() {
  const { meeting, wish, admit } = useSession();
  const lobby = useCell(meeting.lobby);
  const { list } = lobby;
  if (list.length === 0) return null;
  const asking = list.filter(({ waits }) => waits !== "seat");
  return (
    <section aria-label={t("people.waiting")} className={styles["waiting"]}>
      <div className={styles["row"]}>
        <h3 className={styles["subheading"]}>{`${t("people.waiting")} ${list.length}`}</h3>
        {asking.length > 1 ? <Button onPress={() => void admit(meeting.admitAll())}>{t("lobby.admitAll")}</Button> : null}
      </div>
      <ul>
        {list.slice(0, MOST_ROWS).map(({ participant, name, was, waits, verified, identity_kind }) => (
          <li key={participant} className={styles["row"]}>
            <span className={styles["name"]}>
              {name} {isStaff({ verified, identity_kind }) ? <VerifiedIcon size={16} aria-label={t("tile.verified")} /> : null}
              {waits === "seat" ? <small>{t("people.seat")}</small> : null}
              {was ? <small>{t("people.was", { name: was })}</small> : null}
              {linesOf(lobby, participant).slice(-MOST_LINES).map(({ id, text }) => <q key={id} className={styles["line"]}>{text}</q>)}
            </span>
            {waits === "seat" ? null : <Button tone="primary" data-control="admit" aria-label={t("lobby.admit", { name })} onPress={() => void admit(meeting.admit(participant))}>{t("lobby.admitShort")}</Button>}
            <Button data-control="deny" aria-label={t("lobby.deny", { name })} onPress={() => void wish(meeting.deny(participant))}>{t("lobby.denyShort")}</Button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Hands() {
  const { meeting, wish } = useSession();
  const hands = useCell(meeting.hands);
  const roster = useCell(meeting.roster);
  const may = useCell(meeting.can).has("lower_hands");
  return (
    <section aria-label={t("people.hands")}>
      <div className={styles["row"]}>
        <h3 className={styles["subheading"]}>{`${t("people.hands")} ${hands.length}`}</h3>
        {may && hands.length > 1 ? <Button onPress={() => void wish(meeting.request("hand.lower", { all: true }))}>{t("hand.lowerAll")}</Button> : null}
      </div>
      <ol>
        {hands.map((id, index) => {
          const name = roster.get(id)?.name;
          if (name === undefined) return null;
          return (
            <li key={id} className={styles["row"]}>
              <span className={styles["name"]}>{`${index + 1}. ${name}`}</span>
              {may ? <Button data-control="lower" aria-label={t("hand.lowerOf", { name })} onPress={() => void wish(meeting.request("hand.lower", { who: id }))}>{t("hand.lowerShort")}</Button> : null}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

const Row = memo(function Row({ person, mine, hand }: { person: Participant; mine: boolean; hand: number }) {
  const { name } = person;
  return (
    <li className={styles["row"]}>
      <span className={styles["name"]}>
        {mine ? t("people.you", { name }) : name} {isStaff(person) ? <VerifiedIcon size={16} aria-hidden="true" /> : null}
        <small>{describe(person, hand)}</small>
      </span>
      {mine ? null : <RowMenu person={person} />}
    </li>
  );
});

function RowMenu({ person }: { person: Participant }) {
  const { name, entries, dialog } = usePersonMenu(person.id, () => {});
  const label = t("tile.more", { name });
  return (
    <>
      <MenuButton label={label} trigger={<IconButton data-control="row" name={label} icon={<RowMenuIcon />} />} entries={entries} />
      {dialog}
    </>
  );
}
