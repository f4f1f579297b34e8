// Mute, camera, and the mic's level: the same before, at and behind the door.

import { useEffect, useRef } from "react";
import type { Source } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import { meter } from "../media/sound";
import { ControlButton } from "../ui/Button";
import { CameraIcon, CameraOffIcon, MicIcon, MicOffIcon } from "../ui/Icon";
import { useCell } from "../ui/useCell";
import styles from "./sourceButtons.module.css";
import { useSession } from "./session";

/** Whether an own source may be published here; before the meeting only observers are known not to. */
function useMay(source: Source): boolean {
  const { meeting } = useSession();
  const can = useCell(meeting.can);
  const live = useCell(meeting.state) === "live";
  const role = useCell(meeting.info)?.link.role;
  if (!live) return role !== "observer";
  return can.size === 0 || can.has(`publish_${source}`);
}

interface SourceButtonProps {
  autoFocus?: boolean;
}

export function MuteButton({ autoFocus = false }: SourceButtonProps) {
  const session = useSession();
  const { on } = useCell(session.meeting.local.sources.mic);
  const may = useMay("mic");
  return (
    <ControlButton
      name={t(on ? "mic.mute" : "mic.unmute")}
      icon={on ? <MicIcon /> : <MicOffIcon />}
      tone={on ? "plain" : "off"}
      autoFocus={autoFocus}
      onPress={() => (may || on ? void session.setSource("mic", !on) : session.toasts.show({ kind: "right", text: t("refused.mic") }))}
    />
  );
}

export function CameraButton() {
  const session = useSession();
  const { on } = useCell(session.meeting.local.sources.camera);
  const may = useMay("camera");
  return (
    <ControlButton
      name={t(on ? "camera.off" : "camera.on")}
      word={t(on ? "camera.offShort" : "camera.onShort")}
      icon={on ? <CameraIcon /> : <CameraOffIcon />}
      tone={on ? "plain" : "off"}
      onPress={() => (may || on ? void session.setSource("camera", !on) : session.toasts.show({ kind: "right", text: t("refused.camera") }))}
    />
  );
}

/** The microphone's level; drawn without React, ten times a second. */
export function LevelMeter() {
  const { meeting } = useSession();
  const { track, on } = useCell(meeting.local.sources.mic);
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const draw = (level: number) => {
      element.style.setProperty("--level", level.toFixed(2));
      element.setAttribute("aria-valuenow", String(Math.round(level * 100)));
    };
    draw(0);
    return track && on ? meter(track, draw) : undefined;
  }, [track, on]);
  return (
    <div
      ref={ref}
      role="meter"
      aria-label={t("device.level")}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={0}
      className={styles["meter"]}
    />
  );
}
