import { describe, expect, it } from "vitest";
import { Health } from "../src/health";

interface Counters {
  sent?: number;
  received: number;
  asked?: number;
  answered?: number;
}

function report({ sent = 0, received, asked = 0, answered = 0 }: Counters): RTCStatsReport {
  return new Map<string, unknown>([
    ["o", { type: "outbound-rtp", packetsSent: sent }],
    ["t", { type: "transport", bytesReceived: received }],
    ["c", { type: "candidate-pair", nominated: true, requestsSent: asked, responsesReceived: answered }],
  ]) as unknown as RTCStatsReport;
}

describe("the health of the path", () => {
  it("is bad 1.5 s after the last byte while we send", () => {
    const health = new Health();
    for (let at = 0; at <= 2000; at += 500) health.look(report({ sent: at, received: at }), at);
    for (let at = 2500; at <= 3500; at += 500) {
      health.look(report({ sent: at, received: 2000 }), at);
      expect(health.stalled(at)).toBe(false);
    }
    health.look(report({ sent: 4000, received: 2000 }), 4000);
    expect(health.stalled(4000)).toBe(true);
  });

  it("is good while nobody sends and nobody is asked: a quiet meeting", () => {
    const health = new Health();
    for (let at = 0; at <= 10_000; at += 500) health.look(report({ received: 100 }), at);
    expect(health.stalled(10_000)).toBe(false);
  });

  it("is bad when a connectivity check stays unanswered and nothing else comes", () => {
    const health = new Health();
    for (let at = 0; at <= 3000; at += 500) health.look(report({ received: 100, asked: 1, answered: 1 }), at);
    expect(health.stalled(3000)).toBe(false);
    for (let at = 3500; at <= 5000; at += 500) health.look(report({ received: 100, asked: 2, answered: 1 }), at);
    expect(health.stalled(5000)).toBe(true);
  });

  it("is good again with the next byte", () => {
    const health = new Health();
    for (let at = 0; at <= 5000; at += 500) health.look(report({ sent: at, received: 1 }), at);
    expect(health.stalled(5000)).toBe(true);
    health.look(report({ sent: 5500, received: 2 }), 5500);
    expect(health.stalled(5500)).toBe(false);
  });
});
