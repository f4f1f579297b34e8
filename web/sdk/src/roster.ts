// Who is here, who waits, what was written: folding the server's events into lists. Pure.

import type { ChatMessage, LobbyMessage, Participant, Snapshot, Waiter } from "./messages";

export type Roster = ReadonlyMap<string, Participant>;

export interface Lobby {
  /** The list version that "Admit all" refers to. */
  ver: number;
  list: readonly Waiter[];
  /** The last lines through the door, newest last; also of people who wait no longer. */
  messages: readonly LobbyMessage[];
}

export const EMPTY_LOBBY: Lobby = { ver: 0, list: [], messages: [] };

export interface RosterDelta {
  rev: number;
  add?: Participant[];
  upd?: (Partial<Participant> & { id: string })[];
  del?: string[];
}

export interface LobbyDelta {
  ver: number;
  add?: Waiter[];
  del?: string[];
}

/** Most chat messages kept in the page. */
const CHAT_KEPT = 300;
/** Most lines through the door, as many as the server keeps. */
const LINES_KEPT = 50;

export function rosterOf(snapshot: Snapshot): Roster {
  return new Map(snapshot.roster.map((participant) => [participant.id, participant]));
}

/** Human beings: machines such as bots are in the roster and take no seat. */
export function peopleIn(roster: Roster): number {
  return [...roster.values()].filter(({ identity_kind }) => identity_kind !== "service").length;
}

export function applyRoster(roster: Roster, delta: RosterDelta): Roster {
  const next = new Map(roster);
  for (const participant of delta.add ?? []) next.set(participant.id, participant);
  for (const change of delta.upd ?? []) {
    const known = next.get(change.id);
    if (known && (change.rev ?? Infinity) >= known.rev) next.set(change.id, { ...known, ...change });
  }
  for (const id of delta.del ?? []) next.delete(id);
  return next;
}

export function applyLobby(lobby: Lobby, delta: LobbyDelta): Lobby {
  const added = new Map((delta.add ?? []).map((waiter) => [waiter.participant, waiter]));
  const gone = new Set(delta.del ?? []);
  const kept = lobby.list
    .filter(({ participant }) => !gone.has(participant))
    .map((waiter) => {
      const newer = added.get(waiter.participant);
      added.delete(waiter.participant);
      return newer ?? waiter;
    });
  return { ...lobby, ver: delta.ver, list: [...kept, ...added.values()] };
}

/** Adds a line once. */
export function applyLine(lobby: Lobby, line: LobbyMessage): Lobby {
  if (lobby.messages.some(({ id }) => id === line.id)) return lobby;
  return { ...lobby, messages: [...lobby.messages, line].slice(-LINES_KEPT) };
}

/** What this waiting person wrote to the hosts, newest last. */
export function linesOf({ messages }: Lobby, participant: string): LobbyMessage[] {
  return messages.filter(({ waiter }) => waiter === participant);
}

/** Changes a message in its place; one that is not kept is no matter. */
export function changeChat(chat: readonly ChatMessage[], id: string, change: Partial<ChatMessage>): readonly ChatMessage[] {
  const place = chat.findIndex((message) => message.id === id);
  const known = chat[place];
  return known ? chat.with(place, { ...known, ...change }) : chat;
}

/** Adds a message once, in the order of its scope. */
export function applyChat(chat: readonly ChatMessage[], message: ChatMessage): readonly ChatMessage[] {
  if (chat.some(({ id }) => id === message.id)) return chat;
  return [...chat, message].toSorted((a, b) => a.no - b.no || a.at.localeCompare(b.at)).slice(-CHAT_KEPT);
}
