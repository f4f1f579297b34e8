// The controls below the stage, in one order, whatever the state. Every control is a stop of the Tab
// key; the arrow keys, Home and End move along them, too.

import { type KeyboardEvent, useState } from "react";
import { canShareScreen } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import { ControlButton, IconButton } from "../ui/Button";
import { Confirm, Dialog, PopoverButton } from "../ui/Dialog";
import { ChatIcon, HandIcon, LeaveIcon, MoreIcon, OpenIcon, PeopleIcon, ShareIcon, ShareOffIcon } from "../ui/Icon";
import { MenuButton, type MenuEntry } from "../ui/Menu";
import { useCell } from "../ui/useCell";
import { DeviceChoice, DeviceHelp, SpeakerChoice } from "./devices";
import { useSession } from "./session";
import { CameraButton, LevelMeter, MuteButton } from "./sourceButtons";
import { ToastList } from "./ToastList";
import styles from "./Toolbar.module.css";

/** Seconds in which the end for all can be taken back. */
const UNDO_SECONDS = 10;

export function Toolbar() {
  return (
    <div className={styles["bottom"]}>
      <ToastList />
      <div className={styles["help"]}><DeviceHelp source="mic" /><DeviceHelp source="camera" /></div>
      <div role="toolbar" tabIndex={-1} aria-label={t("room.controls")} data-region="controls" className={styles["bar"]} onKeyDown={walk}>
        <div className={styles["group"]}>
          <MuteButton autoFocus />
          <DeviceButton name={t("device.micSettings")}><DeviceChoice source="mic" /><LevelMeter /><SpeakerChoice /></DeviceButton>
          <CameraButton />
          <DeviceButton name={t("device.cameraSettings")}><DeviceChoice source="camera" /></DeviceButton>
          <ShareButton />
          <HandButton />
        </div>
        <div className={styles["group"]}>
          <PeopleButton />
          <ChatButton />
          <MoreButton />
        </div>
        <LeaveButton />
      </div>
    </div>
  );
}

function walk(event: KeyboardEvent<HTMLElement>): void {
  const buttons = [...event.currentTarget.querySelectorAll<HTMLElement>("button")].filter((button) => button.offsetParent !== null);
  const here = buttons.indexOf(document.activeElement as HTMLElement);
  const rightward = getComputedStyle(event.currentTarget).direction === "rtl" ? -1 : 1;
  const next = { ArrowRight: here + rightward, ArrowLeft: here - rightward, Home: 0, End: buttons.length - 1 }[event.key];
  if (here < 0 || next === undefined) return;
  event.preventDefault();
  buttons[(next + buttons.length) % buttons.length]?.focus();
}

function DeviceButton({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className={styles["devices"]}>
      <PopoverButton label={name} trigger={<IconButton name={name} icon={<OpenIcon />} />}>{children}</PopoverButton>
    </div>
  );
}

function ShareButton() {
  const session = useSession();
  const { on } = useCell(session.meeting.local.sources.screen);
  const may = useCell(session.meeting.can).has("publish_screen");
  const press = () => {
    if (!may && !on) session.toasts.show({ kind: "right", text: t("refused.screen") });
    else if (!canShareScreen()) session.toasts.show({ kind: "device-screen", text: t("problem.screen.none") });
    else void session.setSource("screen", !on);
  };
  return (
    <ControlButton
      name={t(on ? "screen.stop" : "screen.start")}
      word={t(on ? "screen.shortStop" : "screen.short")}
      icon={on ? <ShareOffIcon /> : <ShareIcon />}
      tone={on ? "on" : "plain"}
      onPress={press}
    />
  );
}

function HandButton() {
  const session = useSession();
  const hands = useCell(session.meeting.hands);
  const me = useCell(session.meeting.me);
  const can = useCell(session.meeting.can);
  if (!can.has("raise_hand")) return null;
  const up = me !== null && hands.includes(me.id);
  return (
    <ControlButton
      name={t(up ? "hand.lower" : "hand.raise")}
      word={t("hand.short")}
      icon={<HandIcon />}
      tone={up ? "on" : "plain"}
      onPress={() => void session.setHand(!up)}
    />
  );
}

function PeopleButton() {
  const session = useSession();
  const count = useCell(session.meeting.count);
  const open = useCell(session.panel) === "people";
  const waiting = useCell(session.meeting.lobby).list.length;
  return (
    <ControlButton
      data-control="people"
      name={t("people.button", { count })}
      word={t("people.short")}
      icon={<PeopleIcon />}
      badge={waiting > 0 ? String(waiting) : undefined}
      aria-expanded={open}
      onPress={() => session.togglePanel("people")}
    />
  );
}

function ChatButton() {
  const session = useSession();
  const unread = useCell(session.unread);
  const open = useCell(session.panel) === "chat";
  return (
    <ControlButton
      name={t("chat.button", { count: unread })}
      word={t("chat.short")}
      icon={<ChatIcon />}
      badge={unread > 0 ? String(unread) : undefined}
      aria-expanded={open}
      onPress={() => session.togglePanel("chat")}
    />
  );
}

function MoreButton() {
  const session = useSession();
  const layout = useCell(session.layout);
  const { showSelf, theme } = useCell(session.settings);
  const [settings, setSettings] = useState(false);
  const entries: MenuEntry[] = [
    { id: "layout", text: t(layout === "grid" ? "more.speaker" : "more.grid"), act: () => session.toggleLayout() },
    {
      id: "self",
      text: t(showSelf ? "more.hideSelf" : "more.self"),
      act: () => session.settings.update((kept) => ({ ...kept, showSelf: !kept.showSelf })),
    },
    {
      id: "theme",
      text: t(theme === "dark" ? "more.light" : "more.dark"),
      act: () => session.settings.update((kept) => ({ ...kept, theme: kept.theme === "dark" ? "light" : "dark" })),
    },
    { id: "settings", text: t("more.settings"), apart: true, act: () => setSettings(true) },
    { id: "keys", text: t("more.keys"), act: () => session.keysShown.set(true) },
  ];
  return (
    <>
      <MenuButton label={t("more.button")} trigger={<ControlButton name={t("more.button")} icon={<MoreIcon />} />} entries={entries} />
      {settings ? (
        <Dialog title={t("settings.title")} close={t("settings.close")} onClose={() => setSettings(false)}>
          <DeviceChoice source="camera" />
          <DeviceChoice source="mic" />
          <LevelMeter />
          <SpeakerChoice />
        </Dialog>
      ) : null}
    </>
  );
}

function LeaveButton() {
  const session = useSession();
  const { meeting } = session;
  const count = useCell(meeting.count);
  const may = useCell(meeting.can).has("end");
  const [asking, setAsking] = useState(false);
  const leave = () => void meeting.leave();
  const button = <ControlButton name={t("leave.button")} icon={<LeaveIcon />} tone="leave" {...(may ? {} : { onPress: leave })} />;
  if (!may) return button;
  return (
    <>
      <MenuButton
        label={t("leave.button")}
        trigger={button}
        entries={[
          { id: "leave", text: t("leave.meeting"), act: leave },
          { id: "end", text: t("leave.end"), apart: true, danger: true, act: () => setAsking(true) },
        ]}
      />
      {asking ? (
        <Confirm
          title={t("end.title")}
          text={t("end.text", { count })}
          confirm={t("end.confirm")}
          cancel={t("end.cancel")}
          onConfirm={() => void session.wish(meeting.endForAll(UNDO_SECONDS))}
          onClose={() => setAsking(false)}
        />
      ) : null}
    </>
  );
}
