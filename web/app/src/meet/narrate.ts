// Turns what happens in the meeting into words: sentences said aloud, notes over the stage. It reads
// the cells and compares with what was; it draws nothing and moves no focus.

import type { Meeting, Notice, PageState, Participant } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import type { Session } from "./session";
import { changeText, problemText, refusedText, waitingText } from "./words";

const SAID_AFTER = 5000;
/** Above this, coming and going is not told any more. */
const SMALL_ROOM = 10;
const LONGEST_QUOTE = 120;
/** All other states are a card. */
const GOING_ON: ReadonlySet<PageState> = new Set(["boot", "prejoin", "waiting", "connecting", "live", "reconnecting"]);

/** Follows the meeting for as long as the page lives. */
export function narrate(session: Session): void {
  session.meeting.onNotice = (notice) => told(session, notice);
  followState(session);
  followDoor(session);
  followPeople(session);
  followChat(session);
  followConnection(session);
}

/** Calls `changed` with what a cell was and is, while people are in the meeting. */
function follow<T>(meeting: Meeting, cell: { get(): T; subscribe(listener: () => void): () => void }, changed: (before: T, now: T) => void): void {
  let before = cell.get();
  cell.subscribe(() => {
    const now = cell.get();
    const old = before;
    before = now;
    if (meeting.state.get() === "live") changed(old, now);
  });
}

function told(session: Session, notice: Notice): void {
  const { announcer, toasts, meeting, setSource } = session;
  switch (notice.kind) {
    case "muted": {
      const key = { mic: "toast.mutedBy", camera: "toast.cameraStopped", screen: "toast.screenStopped" } as const;
      const text = notice.by ? t(key[notice.source], { name: notice.by }) : t("toast.muted");
      announcer.assertive(text);
      toasts.show({ kind: `muted-${notice.source}`, text });
      break;
    }
    case "unmute_request": {
      const text = t("toast.askUnmute", { name: notice.by });
      announcer.assertive(text);
      toasts.show({ kind: "unmute", text, action: { text: t("toast.unmute"), act: () => void setSource("mic", true) } });
      break;
    }
    case "device_gone":
    case "device_back":
    case "device_found":
      if (GOING_ON.has(meeting.state.get())) session.tell(`device-${notice.source}`, changeText(notice));
      break;
    case "device_failed": // the help beside the buttons says so, too
      toasts.close(`device-${notice.source}`);
      announcer.polite(`device-${notice.source}`, problemText(notice.source, notice.problem, meeting.state.get()));
      break;
    case "refused":
      toasts.show({ kind: "right", text: refusedText(meeting.roster.get(), notice.source, notice.error) });
      break;
    case "lobby_message":
      announcer.polite("lobby", t("aloud.lobby", { name: notice.name, text: notice.text }));
      if (meeting.state.get() === "live") toasts.show({ kind: "lobby", text: t("aloud.lobby", { name: notice.name, text: notice.text }) });
  }
}

function followState({ meeting, announcer, toasts, unread, panel, pins }: Session): void {
  let before = meeting.state.get();
  meeting.state.subscribe(() => {
    const now = meeting.state.get();
    if (!GOING_ON.has(now)) toasts.clear(); // a card says what there is to say
    if (now === "connecting") announcer.polite("state", t("connecting"));
    if (now === "live" && before !== "live") announcer.polite("state", t("room.joined", { count: meeting.count.get() }));
    if (now !== "live" && before === "live") {
      unread.set(0);
      panel.set(null);
      pins.set([]);
    }
    before = now;
  });
}

function followDoor({ meeting, announcer }: Session): void {
  let known = new Set<string>();
  meeting.lobby.subscribe(() => {
    const { list } = meeting.lobby.get();
    for (const waiter of list) {
      if (known.has(waiter.participant)) continue;
      // Those who came together may be fewer by the time they are told of, or be one who came twice.
      announcer.polite("door", waitingText([waiter]), { window: 10_000, many: () => waitingText(meeting.lobby.get().list) });
    }
    known = new Set(list.map(({ participant }) => participant));
  });
}

function followPeople({ meeting, announcer }: Session): void {
  follow(meeting, meeting.roster, (before, now) => {
    if (now.size > SMALL_ROOM) return;
    const me = meeting.me.get()?.id;
    for (const { id, name } of without(now, before, me)) {
      if (id) announcer.polite("joined", t("aloud.joined", { name }), { window: 10_000, many: (count) => t("aloud.joinedMany", { count }) });
    }
    for (const { name } of without(before, now, me)) {
      announcer.polite("left", t("aloud.left", { name }), { window: 10_000, many: (count) => t("aloud.leftMany", { count }) });
    }
    const [shared, shares] = [before, now].map((roster) => [...roster.values()].filter(({ tracks }) => tracks.screen)) as [Participant[], Participant[]];
    const fresh = shares.find(({ id }) => id !== me && !shared.some((other) => other.id === id));
    if (fresh) announcer.polite("share", t("aloud.sharing", { name: fresh.name }));
    // Where somebody took over, sharing goes on.
    else if (shares.length === 0 && shared.some(({ id }) => id !== me)) announcer.polite("share", t("aloud.sharingEnded"));
  });
  follow(meeting, meeting.hands, (before, now) => {
    const me = meeting.me.get();
    if (me?.role !== "host" && me?.role !== "cohost") return;
    for (const id of now) {
      const name = meeting.roster.get().get(id)?.name;
      if (!name || id === me.id || before.includes(id)) continue;
      announcer.polite("hand", t("aloud.hand", { name }), { window: 5000, many: () => t("aloud.handMany", { count: meeting.hands.get().length }) });
    }
  });
}

/** Who is in `these` and not in `those`, but me. */
function without(these: ReadonlyMap<string, Participant>, those: ReadonlyMap<string, Participant>, me: string | undefined): Participant[] {
  return [...these.values()].filter(({ id }) => id !== me && !those.has(id));
}

function followChat({ meeting, announcer, panel, unread }: Session): void {
  follow(meeting, meeting.chat, (before, now) => {
    const me = meeting.me.get()?.id;
    const last = before.at(-1)?.at ?? "";
    const fresh = now.filter(({ id, from, at, state }) => from !== me && at >= last && state !== "deleted" && !before.some((old) => old.id === id));
    if (fresh.length === 0) return;
    if (panel.get() !== "chat") unread.update((count) => count + fresh.length);
    for (const { name, body, to } of fresh) {
      const text = body.slice(0, LONGEST_QUOTE);
      if (to) announcer.polite("private", t("aloud.private", { name, text }));
      else if (panel.get() !== "chat") {
        announcer.polite("chat", t("aloud.chat", { name, text }), { window: 5000, many: (count) => t("aloud.chatMany", { count }) });
      }
    }
  });
  panel.subscribe(() => {
    if (panel.get() === "chat") unread.set(0);
  });
}

function followConnection({ meeting, announcer }: Session): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let said = false;
  const look = () => {
    const lost = meeting.state.get() === "live" && (meeting.signalingLost.get() || meeting.mediaLost.get());
    if (lost && timer === undefined) {
      timer = setTimeout(() => {
        said = true;
        announcer.polite("connection", t("connection.lost"));
      }, SAID_AFTER);
    } else if (!lost) {
      clearTimeout(timer);
      timer = undefined;
      if (said && meeting.state.get() === "live") announcer.polite("connection", t("connection.back"));
      said = false;
    }
  };
  meeting.signalingLost.subscribe(look);
  meeting.mediaLost.subscribe(look);
  meeting.state.subscribe(look);
}
