// Whether the path to the server works, judged from a browser's own counters. Connection states say
// so after five seconds and more; this takes two.

/** How often the counters are read, in milliseconds. */
export const HEALTH_EVERY = 500;
/** With feedback due several times a second, this long without a byte is a loss. */
const STALLED_AFTER = 1500;
/** An answer to a connectivity check takes one round trip. */
const ANSWER_WITHIN = 1000;

export class Health {
  #sent = 0;
  #sentAt = -Infinity;
  #received = -1;
  #receivedAt: number | null = null;
  #asked = 0;
  #answered = 0;
  #unansweredAt: number | null = null;

  /** Reads the counters of one report; `now` in milliseconds. */
  look(report: RTCStatsReport, now: number): void {
    let sent = 0;
    let received = 0;
    let asked = 0;
    let answered = 0;
    for (const entry of report.values() as Iterable<Record<string, unknown>>) {
      if (entry["type"] === "outbound-rtp") sent += Number(entry["packetsSent"] ?? 0);
      if (entry["type"] === "transport") received += Number(entry["bytesReceived"] ?? 0);
      if (entry["type"] === "candidate-pair" && entry["nominated"]) {
        asked += Number(entry["requestsSent"] ?? 0);
        answered += Number(entry["responsesReceived"] ?? 0);
      }
    }
    if (sent > this.#sent) this.#sentAt = now;
    if (received !== this.#received) this.#receivedAt = now;
    if (answered !== this.#answered) this.#unansweredAt = null;
    else if (asked > this.#asked) this.#unansweredAt ??= now;
    this.#sent = sent;
    this.#received = received;
    this.#asked = asked;
    this.#answered = answered;
  }

  /** We send, or ask, and nothing comes back. */
  stalled(now: number): boolean {
    if (this.#receivedAt === null || now - this.#receivedAt <= STALLED_AFTER) return false;
    const sending = now - this.#sentAt < 2 * HEALTH_EVERY;
    const unanswered = this.#unansweredAt !== null && now - this.#unansweredAt > ANSWER_WITHIN;
    return sending || unanswered;
  }
}
