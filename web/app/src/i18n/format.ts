// Times as the reader expects them: their language, their zone.

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayAndClock = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });

/** 15:00 for a moment of today, else "Tue 24 Nov, 15:00". */
export function moment(iso: string, now: Date = new Date()): string {
  const date = new Date(iso);
  return date.toDateString() === now.toDateString() ? clock.format(date) : dayAndClock.format(date);
}

/** A moment beside another one: 14:45 when both are of the same day. */
export function beside(iso: string, other: string, now: Date = new Date()): string {
  const date = new Date(iso);
  return date.toDateString() === new Date(other).toDateString() ? clock.format(date) : moment(iso, now);
}

/** From one moment to another: 15:00 – 15:45, with days where they are not today. */
export function range(from: string, to: string | null, now: Date = new Date()): string {
  if (to === null) return moment(from, now);
  return `${moment(from, now)} – ${beside(to, from, now)}`;
}

/** Minutes and seconds, such as 32:10; hours when there are any. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}
