// Chat: with everyone, or in private with one person. What was not sent keeps its text.

import { type FormEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Tab, TabList, TabPanel, Tabs } from "react-aria-components/Tabs";
import { type ChatMessage, RequestError } from "../../../sdk/src/index";
import { moment } from "../i18n/format";
import { t } from "../i18n/t";
import { Button } from "../ui/Button";
import { Choice, Line, Note } from "../ui/fields";
import { useCell } from "../ui/useCell";
import styles from "./ChatPanel.module.css";
import { Panel } from "./Panel";
import { useSession } from "./session";

const LONGEST = 5000;
type View = "everyone" | "private";

export function ChatPanel() {
  const { meeting } = useSession();
  const chat = useCell(meeting.chat);
  const [view, setView] = useState<View>("everyone");
  const [to, setTo] = useState("");
  const [drafts, setDrafts] = useState({ everyone: "", private: "" });
  const draft = (key: View) => ({ text: drafts[key], onText: (text: string) => setDrafts((kept) => ({ ...kept, [key]: text })) });
  return (
    <Panel name={t("chat.region")} heading={t("chat.short")} close={t("chat.close")} focusHeading={false}>
      <Tabs selectedKey={view} onSelectionChange={(key) => setView(key as View)} className={styles["tabs"] ?? ""}>
        <TabList aria-label={t("chat.region")} className={styles["tablist"] ?? ""}>
          <Tab id="everyone" className={styles["tab"] ?? ""}>{t("chat.everyone")}</Tab>
          <Tab id="private" className={styles["tab"] ?? ""}>{t("chat.private")}</Tab>
        </TabList>
        <TabPanel id="everyone" className={styles["tabpanel"] ?? ""}>
          <Log messages={chat.filter((message) => message.to === null)} empty={t("chat.empty")} />
          <Composer to={null} {...draft("everyone")} />
        </TabPanel>
        <TabPanel id="private" className={styles["tabpanel"] ?? ""}>
          <Log messages={chat.filter((message) => message.to !== null)} empty={t("chat.emptyPrivate")} />
          <Recipient to={to} onChange={setTo} />
          <Composer to={to} {...draft("private")} />
        </TabPanel>
      </Tabs>
    </Panel>
  );
}

function Log({ messages, empty }: { messages: readonly ChatMessage[]; empty: string }) {
  const ref = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const seen = useRef(messages.length);
  const [fresh, setFresh] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    const more = messages.length - seen.current;
    seen.current = messages.length;
    if (!element) return;
    if (atEnd.current) element.scrollTop = element.scrollHeight;
    else if (more > 0) setFresh((count) => count + more);
  }, [messages]);
  const scrolled = () => {
    const element = ref.current;
    if (!element) return;
    atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
    if (atEnd.current) setFresh(0);
  };
  const toEnd = () => {
    if (ref.current) ref.current.scrollTop = ref.current.scrollHeight;
  };
  return (
    <div className={styles["logframe"]}>
      {/* Said aloud by the announcer, merged; the log itself stays silent. It scrolls, so keys reach it. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div ref={ref} role="log" aria-label={t("chat.log")} aria-live="off" tabIndex={0} className={styles["log"]} onScroll={scrolled}>
        {messages.length === 0 ? <p className={styles["empty"]}>{empty}</p> : null}
        <ul>{messages.map((message) => <Message key={message.id} message={message} />)}</ul>
      </div>
      {fresh > 0 ? <div className={styles["pill"]}><Button tone="primary" onPress={toEnd}>{t("chat.new", { count: fresh })}</Button></div> : null}
    </div>
  );
}

function Message({ message }: { message: ChatMessage }) {
  const { meeting } = useSession();
  const roster = meeting.roster.get();
  const mine = message.from === meeting.me.get()?.id;
  const name = message.name || (roster.get(message.from)?.name ?? "");
  const time = moment(message.at);
  const recipient = message.to === null ? undefined : (roster.get(message.to)?.name ?? "");
  const head = message.to === null
    ? t("chat.from", { name, time })
    : mine ? t("chat.privateTo", { name: recipient ?? "", time }) : t("chat.privateFrom", { name, time });
  return (
    <li className={styles["message"]}>
      <p className={styles["from"]}>{head}</p>
      {message.state === "deleted" ? (
        <p className={styles["gone"]}>{t("chat.deleted")}</p>
      ) : (
        <p className={styles["body"]}>
          {message.body}
          {message.state === "edited" ? <span className={styles["edited"]}> {t("chat.edited")}</span> : null}
        </p>
      )}
    </li>
  );
}

function Recipient({ to, onChange }: { to: string; onChange(to: string): void }) {
  const { meeting } = useSession();
  const roster = useCell(meeting.roster);
  const me = useCell(meeting.me)?.id;
  const options = [...roster.values()].filter(({ id }) => id !== me).map(({ id, name }) => ({ value: id, text: name }));
  const first = options[0]?.value ?? "";
  const valid = options.some(({ value }) => value === to);
  useEffect(() => {
    if (!valid && first) onChange(first);
  }, [valid, first, onChange]);
  if (options.length === 0) return <p className={styles["empty"]}>{t("chat.noOne")}</p>;
  return <Choice label={t("chat.recipient")} value={to} options={options} onChange={onChange} />;
}

interface ComposerProps {
  /** Null for everyone, "" while there is nobody to write to. */
  to: string | null;
  text: string;
  onText(text: string): void;
}

function Composer({ to, text, onText }: ComposerProps) {
  const { meeting } = useSession();
  const lost = useCell(meeting.signalingLost);
  const can = useCell(meeting.can);
  const [trouble, setTrouble] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  if (!can.has(to === null ? "chat" : "chat_private")) return <p className={styles["empty"]}>{t("chat.off")}</p>;

  const send = async () => {
    const body = text.trim();
    if (!body || to === "") return;
    if (body.length > LONGEST) {
      setTrouble(t("chat.tooLong", { limit: LONGEST }));
      return;
    }
    onText("");
    setTrouble(null);
    try {
      await meeting.sendChat(body, to ?? undefined);
    } catch (error) {
      onText(body);
      setTrouble(reason(error, (to && meeting.roster.get().get(to)?.name) || ""));
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void send();
  };
  return (
    <form className={styles["composer"]} onSubmit={submit}>
      {trouble ? <Note tone="danger">{trouble}</Note> : null}
      {lost ? <Note tone="info">{t("chat.later")}</Note> : null}
      <div className={styles["line"]}>
        <Line label={t("chat.message")} hiddenLabel value={text} onChange={onText} placeholder={t("chat.message")} inputRef={field} />
        <Button type="submit" tone="primary">{t(trouble ? "chat.retry" : "chat.send")}</Button>
      </div>
    </form>
  );
}

function reason(error: unknown, name: string): string {
  if (!(error instanceof RequestError)) return t("chat.failed");
  if (error.code === "rate") return t("chat.rate", { seconds: Math.ceil((error.retryMs ?? 1000) / 1000) });
  if (error.code === "recipient_gone") return t("chat.gone", { name });
  return t(error.code === "forbidden" ? "chat.off" : "chat.failed");
}
