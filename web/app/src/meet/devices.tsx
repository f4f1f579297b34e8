// The three device menus, alike before and in the meeting, and help when a device does not start.

import { useState } from "react";
import { KINDS, shownDevice, type Source } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import { testSound } from "../media/sound";
import { Button } from "../ui/Button";
import { Choice, Note, NoteAction } from "../ui/fields";
import { useCell } from "../ui/useCell";
import { useSession } from "./session";
import { keptText, problemText } from "./words";

/** What can be chosen of a kind; names appear once the person has allowed one. */
function useOptions(kind: keyof typeof KINDS): { value: string; text: string }[] {
  const { devices } = useSession().meeting.local;
  const all = useCell(devices);
  // Before a grant there is one without a name. Of speakers not every browser tells.
  if (all !== null && kind !== "speaker" && !devices.any(KINDS[kind])) return [{ value: "", text: t("device.none") }];
  const named = devices.of(KINDS[kind]).filter(({ deviceId, label }) => deviceId !== "default" && label !== "");
  return [{ value: "", text: t("device.default") }, ...named.map(({ deviceId, label }) => ({ value: deviceId, text: label }))];
}

export function DeviceChoice({ source }: { source: "mic" | "camera" }) {
  const session = useSession();
  const { local } = session.meeting;
  const state = useCell(local.sources[source]);
  const shown = shownDevice(state);
  const options = useOptions(source);
  const value = options.some((option) => option.value === shown) ? shown : "";
  return <Choice label={t(`device.${source}`)} value={value} options={options} hint={keptText(source, state, local.devices)} onChange={(id) => void session.choose(source, id)} />;
}

export function SpeakerChoice() {
  const session = useSession();
  const { used, refused } = useCell(session.meeting.speaker.state);
  const [silent, setSilent] = useState(false);
  const options = useOptions("speaker");
  const value = options.some((option) => option.value === used) ? used : "";
  const hint = refused !== null || silent ? t("speaker.failed") : "";
  const test = () => void testSound(value).then(() => setSilent(false), () => setSilent(true));
  return (
    <>
      <Choice label={t("device.speaker")} value={value} options={options} hint={hint} onChange={(id) => void session.chooseSpeaker(id)} />
      <Button onPress={test}>{t("device.test")}</Button>
    </>
  );
}

/** Why a device did not start and what to do; nothing when all is well. */
export function DeviceHelp({ source }: { source: Source }) {
  const session = useSession();
  const { problem } = useCell(session.meeting.local.sources[source]);
  const state = useCell(session.meeting.state);
  if (problem === null) return null;
  return (
    <Note tone="warning">
      <span>{problemText(source, problem, state)}</span>
      {problem === "denied" ? <span>{t(`help.${browser()}`)}</span> : null}
      {problem === "none" || problem === "insecure" || problem === "frame" ? null : (
        <NoteAction onPress={() => void session.setSource(source, true)}>{t("device.askAgain")}</NoteAction>
      )}
    </Note>
  );
}

function browser(): "chromium" | "firefox" | "safari" | "ios" | "android" {
  const agent = navigator.userAgent;
  if (/iPhone|iPad/.test(agent)) return "ios";
  if (agent.includes("Android")) return "android";
  if (agent.includes("Firefox")) return "firefox";
  return /Safari/.test(agent) && !/Chrom/.test(agent) ? "safari" : "chromium";
}
