"""Rooms and attendance as resources: read-only, since the meeting itself writes them."""

from ..resources.declaration import READ_ONLY, Include, Resource
from .models import VideoRoom, VideoRoomInterval, VideoRoomParticipant
from .states import PARTICIPANT_KINDS, PARTICIPANT_STATES, ROLES, ROOM_STATES, ROOM_TYPES

VIDEO_ROOMS = Resource(
    VideoRoom,
    "video_room",
    "Places to meet; opened by a video appointment",
    operations=READ_ONLY,
    # Half of every link; who may open one gets the whole of it.
    hidden=frozenset({"code", "passcode_hash"}),
    choices={"type": ROOM_TYPES, "status": ROOM_STATES},
    children=(
        Include("participants", "video_room_participants", "id", "room_id"),
        Include("appointments", "appointments", "id", "video_room_id"),
    ),
)
ROOM_PARTICIPANTS = Resource(
    VideoRoomParticipant,
    "video_room_participant",
    "Who was at a sitting of a room",
    operations=READ_ONLY,
    hidden=frozenset({"link_id", "conn_epoch", "device"}),
    choices={"kind": PARTICIPANT_KINDS, "role": ROLES, "status": PARTICIPANT_STATES},
    children=(Include("intervals", "video_room_intervals", "id", "participant_id"),),
)
INTERVALS = Resource(
    VideoRoomInterval,
    "video_room_interval",
    "Stretches of somebody's presence",
    operations=READ_ONLY,
)
