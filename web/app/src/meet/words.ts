// How people are described, alike on tiles and in lists.

import {
  type DeviceChange, type DeviceList, type DeviceProblem, KINDS, type LocalSource, type PageState, type Participant, type RequestError, type Roster,
  type Source, type Waiter,
} from "../../../sdk/src/index";
import { t } from "../i18n/t";
import type { StageTexts } from "../media/stage";

/** The server's, in characters. */
export const NAME_LIMIT = 80;

/** No longer than the server takes; a character of two code units is never cut in half. */
export function cutName(name: string): string {
  return [...name].slice(0, NAME_LIMIT).join("");
}

/** "Roof review with Ana Diaz"; the title of an untitled appointment names the host already. */
export function headingOf(title: string, host: string | null): string {
  return !host || title.includes(host) ? title : t("prejoin.with", { title, host });
}

/** Signed-in staff carry a mark that guests' names cannot imitate. */
export function isStaff({ identity_kind: kind, verified }: Pick<Participant, "identity_kind" | "verified">): boolean {
  return kind === "staff" && verified;
}

/** "reconnecting, host, muted, hand 2"; a plain participant's role is not worth a word. */
export function describe(participant: Participant, hand: number): string {
  const words = [
    participant.state === "reconnecting" ? t("tile.reconnecting") : "",
    participant.role === "participant" ? "" : t(`tile.${participant.role}`),
    isStaff(participant) ? t("tile.verified") : "",
    participant.tracks.mic ? "" : t("tile.muted"),
    participant.tracks.camera ? "" : t("tile.cameraOff"),
    hand > 0 ? t("tile.hand", { number: hand }) : "",
  ];
  return words.filter(Boolean).join(", ");
}

/** Why a source may not be turned on. */
export function refusedText(roster: Roster, source: Source, { extras }: RequestError): string {
  if (extras["need"] !== "screen_free") return t(`refused.${source}`);
  const name = roster.get(String(extras["who"]))?.name;
  return name ? t("refused.screenTaken", { name }) : t("refused.screenTakenBySomebody");
}

/** Who shares, where that keeps `me` from it: hosts and co-hosts take over. */
export function inTheWay(roster: Roster, me: Pick<Participant, "id" | "role"> | null): Participant | null {
  if (me?.role === "host" || me?.role === "cohost") return null;
  return [...roster.values()].find(({ id, state, tracks }) => id !== me?.id && state !== "reconnecting" && tracks.screen) ?? null;
}

const INSIDE: ReadonlySet<PageState> = new Set(["connecting", "live", "reconnecting"]);

/** Whether the room is on the screen. */
export function inRoom(state: PageState): boolean {
  return INSIDE.has(state);
}

/** Why a device did not start; who is not in yet reads that it can be done without. */
export function problemText(source: Source, problem: DeviceProblem, state: PageState): string {
  const text = t(`problem.${source}.${problem}`);
  const dispensable = source !== "screen" && (problem === "none" || problem === "failed");
  return dispensable && !inRoom(state) ? `${text} ${t("problem.without")}` : text;
}

/** What plugging in and out did; devices without a known name go by what they are. */
export function changeText(change: Exclude<DeviceChange, { kind: "device_failed" }>): string {
  const device = change.device || t(`device.your.${change.source}`);
  switch (change.kind) {
    case "device_gone":
      return change.used === null ? t("toast.deviceOff", { device }) : t("toast.deviceGone", { device, used: change.used || t("device.default") });
    case "device_back":
      return t("toast.deviceBack", { device });
    case "device_found":
      return t(change.source === "mic" ? "toast.micFound" : "toast.cameraFound", { device });
  }
}

/** Why the device that was chosen last did not start, and which one is used still; "" when all is well. */
export function keptText(source: "mic" | "camera", { device, refused }: LocalSource, devices: DeviceList): string {
  if (!device || !refused) return "";
  const { problem, deviceId } = refused;
  const reason = problem === "in_use" ? "inUse" : problem === "gone" || problem === "none" ? "gone" : problem === "failed" ? "failed" : "blocked";
  const wanted = (deviceId && devices.nameOf(KINDS[source], deviceId)) || t("device.default");
  return t(`kept.${reason}`, { device: wanted, used: device.label || t(`device.your.${source}`) });
}

/** For who waits for a seat; the place in line counts from 1. */
export function fullText(place: number | null): string {
  if (!place) return t("card.full");
  return place === 1 ? t("card.fullFirst") : t("card.fullPlace", { place });
}

/** For hosts: who is let in and comes when there is a seat. */
export function seatText(list: readonly Pick<Waiter, "name">[]): string {
  const [first, second] = list;
  if (!first) return "";
  return second ? t("lobby.seats", { count: list.length }) : t("lobby.seat", { name: first.name });
}

/** As many who wait have their names said. */
export const NAMED = 2;

/** Who waits: up to two names, then a count. */
export function waitingText(list: readonly Pick<Waiter, "name">[]): string {
  const [first, second] = list;
  if (!first) return "";
  if (list.length > NAMED) return t("lobby.many", { count: list.length });
  return second ? t("lobby.two", { first: first.name, second: second.name }) : t("lobby.one", { name: first.name });
}

export const stageTexts: StageTexts = {
  frozen: t("connection.media"),
  screenOf: (name) => t("room.screenOf", { name }),
  options: (name) => t("tile.options", { name }),
  more: (count) => t("room.more", { count }),
  words: describe,
  marked: isStaff,
};
