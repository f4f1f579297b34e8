// Cameras, microphones and screens: asking for them, and saying why they did not come.

import type { Source } from "./messages";

/** Why a device did not start; the page has a sentence of help for each. */
export type DeviceProblem =
  | "dismissed" | "denied" | "system" | "in_use" | "none" | "gone" | "frame" | "insecure" | "failed";

export class DeviceError extends Error {
  constructor(readonly source: Source, readonly problem: DeviceProblem, cause?: unknown) {
    super(`${source}: ${problem}`, { cause });
    this.name = "DeviceError";
  }
}

export interface CaptureOptions {
  deviceId?: string | undefined;
}

/** @throws DeviceError */
export async function capture(source: Source, options: CaptureOptions = {}): Promise<MediaStreamTrack> {
  const media = navigator.mediaDevices as MediaDevices | undefined;
  if (!media) throw new DeviceError(source, window.isSecureContext ? "failed" : "insecure");
  const exact = options.deviceId ? { deviceId: { exact: options.deviceId } } : {};
  try {
    const stream = await (source === "screen"
      ? media.getDisplayMedia({
          video: { frameRate: { max: 30 } },
          audio: false,
          selfBrowserSurface: "exclude",
          surfaceSwitching: "include",
        } as DisplayMediaStreamOptions)
      : source === "mic"
        ? media.getUserMedia({
            audio: { ...exact, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
          })
        : media.getUserMedia({
            video: { ...exact, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
          }));
    const track = stream.getTracks()[0];
    if (!track) throw new DeviceError(source, "none");
    if (source === "screen") track.contentHint = "detail";
    return track;
  } catch (error) {
    throw error instanceof DeviceError ? error : new DeviceError(source, await reason(source, error), error);
  }
}

async function reason(source: Source, error: unknown): Promise<DeviceProblem> {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotReadableError" || name === "AbortError") return "in_use";
  if (name === "NotFoundError") return "none";
  if (name === "OverconstrainedError") return "gone";
  if (name !== "NotAllowedError") return "failed";
  if (/system/i.test((error as DOMException).message)) return "system";
  if (/permissions policy/i.test((error as DOMException).message)) return "frame";
  if (source === "screen") return "dismissed";
  return (await permissionFor(source))?.state === "prompt" ? "dismissed" : "denied";
}

/** What the browser calls the devices of a source, and of the sound. */
export const KINDS = { mic: "audioinput", camera: "videoinput", speaker: "audiooutput" } as const;

/** The browser's word on a kind of device; null where it gives none. */
export async function permissionFor(source: "mic" | "camera"): Promise<PermissionStatus | null> {
  const name = source === "mic" ? "microphone" : "camera";
  return (await navigator.permissions?.query({ name: name as PermissionName }).catch(() => null)) ?? null;
}

/** Phones refuse a camera for as long as the page has another one. */
export function oneCameraAtATime(): boolean {
  return navigator.userAgent?.includes("Android") ?? false;
}

/** Whether this browser can share a screen at all; phones can't. */
export function canShareScreen(): boolean {
  return "getDisplayMedia" in ((navigator.mediaDevices as MediaDevices | undefined) ?? {});
}

/** The devices of one kind that the browser tells about. */
export async function listDevices(kind: MediaDeviceKind): Promise<MediaDeviceInfo[]> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((device) => device.kind === kind && device.deviceId !== "");
}
