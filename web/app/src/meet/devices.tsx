// The three device menus, alike before and in the meeting, and help when a device does not start.

import { useEffect, useState } from "react";
import type { Source } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import { testSound } from "../media/sound";
import { Button } from "../ui/Button";
import { Choice, Note, NoteAction } from "../ui/fields";
import { useCell } from "../ui/useCell";
import { useSession } from "./session";
import { problemText } from "./words";

const KINDS = { camera: "videoinput", mic: "audioinput", speaker: "audiooutput" } as const;

/** The devices of a kind; names appear once the person has allowed one. */
function useDevices(kind: keyof typeof KINDS): { value: string; text: string }[] {
  const { meeting } = useSession();
  const [devices, setDevices] = useState<readonly MediaDeviceInfo[] | null>(null);
  const source = kind === "speaker" ? "mic" : kind;
  const own = meeting.local.sources[source];
  useEffect(() => {
    let current = true;
    const read = async () => {
      const list = await navigator.mediaDevices?.enumerateDevices() ?? [];
      if (current) setDevices(list.filter((device) => device.kind === KINDS[kind]));
    };
    void read();
    navigator.mediaDevices?.addEventListener("devicechange", read);
    const stop = own.subscribe(() => void read()); // a grant changes what the browser tells
    return () => {
      current = false;
      stop();
      navigator.mediaDevices?.removeEventListener("devicechange", read);
    };
  }, [kind, own]);
  // Before a grant there is one without a name. Of speakers not every browser tells.
  if (devices?.length === 0 && kind !== "speaker") return [{ value: "", text: t("device.none") }];
  const named = (devices ?? []).filter(({ deviceId, label }) => deviceId !== "default" && label !== "");
  return [{ value: "", text: t("device.default") }, ...named.map(({ deviceId, label }) => ({ value: deviceId, text: label }))];
}

export function DeviceChoice({ source }: { source: "mic" | "camera" }) {
  const session = useSession();
  const chosen = useCell(session.settings)[source];
  const options = useDevices(source);
  const value = options.some((option) => option.value === chosen) ? chosen : "";
  return <Choice label={t(`device.${source}`)} value={value} options={options} onChange={(id) => void session.choose(source, id)} />;
}

export function SpeakerChoice() {
  const session = useSession();
  const { speaker } = useCell(session.settings);
  const options = useDevices("speaker");
  const value = options.some((option) => option.value === speaker) ? speaker : "";
  return (
    <>
      <Choice
        label={t("device.speaker")}
        value={value}
        options={options}
        onChange={(id) => session.settings.update((settings) => ({ ...settings, speaker: id }))}
      />
      <Button onPress={() => void testSound(value)}>{t("device.test")}</Button>
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

/** Starts a device that was refused as soon as the person allows it in the browser. */
export function useLatePermission(): void {
  const session = useSession();
  useEffect(() => {
    const over = new AbortController();
    const watch = async (source: "mic" | "camera", name: string) => {
      const status = await navigator.permissions?.query({ name: name as PermissionName }).catch(() => null);
      status?.addEventListener("change", () => {
        const { problem } = session.meeting.local.sources[source].get();
        if (status.state === "granted" && problem !== null) void session.setSource(source, true);
      }, { signal: over.signal });
    };
    void watch("mic", "microphone");
    void watch("camera", "camera");
    return () => over.abort();
  }, [session]);
}
