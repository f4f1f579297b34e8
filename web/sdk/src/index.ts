// The public names of the SDK.

export { type Cell, cell, type Readable } from "./cell";
export { DeviceList } from "./deviceList";
export { canShareScreen, DeviceError, type DeviceProblem, KINDS, listDevices } from "./devices";
export { type Invitation, parseInvitation } from "./invitation";
export { type DeviceChange, LocalMedia, type LocalSource, shownDevice, type UsedDevice } from "./local";
export { MOST_VIDEO_SLOTS, type SlotLabel, VIDEO_SLOTS } from "./media";
export { type Admission, Meeting, type MeetingOptions, type Notice, type PageState, type SlotSize, type View, type Waiting } from "./meeting";
export {
  type ChatMessage, type JoinAnswer, type LobbyMessage, type Participant, RequestError, type Role, type Room, type RoomState, type RoomSummary,
  type SlotKind, type Source, type Waiter,
} from "./messages";
export { EMPTY_LOBBY, type Lobby, linesOf, type Roster } from "./roster";
export type { Shown } from "./slots";
export { Speaker, type SpeakerState } from "./speaker";
