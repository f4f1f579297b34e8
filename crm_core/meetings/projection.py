"""Room events turned into the typed rows that the CRM reads.

`Projection` loads the rows that a batch touches, the functions of `PROJECTORS` change them in
memory, and the unit of work writes them in a few bulk statements. Kinds without an entry need no
row of their own; the journal keeps them all. Event bodies are those of ``rooms.events``:
``{"p": fields, "by": participant or null, …}``. What start and end
of a sitting mean to the CRM is in ``lifecycle.py``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..changes.service import announce
from .activity import MeetingChatMessage
from .models import RoomLink, VideoRoom, VideoRoomInterval, VideoRoomParticipant, VideoRoomSession
from .rooms import get_room
from .states import PARTICIPANT_GONE, ROOM_OVER


@dataclass(frozen=True)
class JournalRecord:
    """One event of the room's journal.

    Attributes:
        seq: its place in the sitting, from 1, without gaps.
        kind: a name of ``rooms.events``.
        audience: the stream that may see it.
        body: ``{"p": fields, "by": participant id or None, "now": room time}``.
        at: when it happened by the room's clock.
        session_no: the sitting.
    """

    seq: int
    kind: str
    audience: str
    body: dict[str, Any]
    at: datetime
    session_no: int


@dataclass
class Projection:
    """The rows of one sitting that a batch of events changes."""

    unit: Unit
    room: VideoRoom
    sitting: VideoRoomSession
    participants: dict[UUID, VideoRoomParticipant] = field(default_factory=dict)
    open_intervals: dict[UUID, VideoRoomInterval] = field(default_factory=dict)
    """By participant."""
    messages: dict[UUID, MeetingChatMessage] = field(default_factory=dict)
    new_participants: list[VideoRoomParticipant] = field(default_factory=list)
    new_rows: list[object] = field(default_factory=list)
    banned_links: list[UUID] = field(default_factory=list)
    started: JournalRecord | None = None
    """The event that made the sitting live, if the batch has it."""
    ended_at: datetime | None = None
    """When the sitting ended, if the batch ended it."""

    async def write(self) -> None:
        """Send all changes to the database: participants first, as the others point at them."""
        self.unit.session.add_all(self.new_participants)
        await self.unit.session.flush()
        self.unit.session.add_all(self.new_rows)
        await self.unit.session.flush()
        if self.banned_links:
            await self.unit.session.execute(
                sa.update(RoomLink)
                .where(RoomLink.id.in_(self.banned_links), RoomLink.revoked_at.is_(None))
                .values(revoked_at=self.unit.now)
                .execution_options(synchronize_session=False)
            )


async def project(
    unit: Unit, room_id: UUID, session_no: int, batch: Sequence[JournalRecord]
) -> Projection:
    """Apply `batch` to the typed rows and write them.

    Raises:
        NotFound: the room is not in this tenant.
    """
    projection = await _load(unit, room_id, session_no, batch)
    for record in batch:
        projector = PROJECTORS.get(record.kind)
        if projector is not None:
            projector(projection, record, record.body["p"])
    await projection.write()
    return projection


async def _load(
    unit: Unit, room_id: UUID, session_no: int, batch: Iterable[JournalRecord]
) -> Projection:
    room = await get_room(unit, room_id)
    sitting = (
        await unit.session.scalars(
            sa.select(VideoRoomSession).where(
                VideoRoomSession.room_id == room_id, VideoRoomSession.session_no == session_no
            )
        )
    ).one()
    projection = Projection(unit, room, sitting)
    participants: set[UUID] = set()
    messages: set[UUID] = set()
    hands_moved = False
    for record in batch:
        fields = record.body["p"]
        if "participant" in fields:
            participants.add(UUID(fields["participant"]))
        if record.kind == "hands":
            participants.update(UUID(who) for who in fields["order"])
            hands_moved = True
        if record.kind in ("chat.edited", "chat.deleted"):
            messages.add(UUID(fields["id"]))
    if hands_moved:
        participants.update(await _with_raised_hand(unit, room_id, session_no))
    if participants:
        found = await unit.session.scalars(
            sa.select(VideoRoomParticipant).where(VideoRoomParticipant.id.in_(participants))
        )
        projection.participants = {row.id: row for row in found}
        opened = await unit.session.scalars(
            sa.select(VideoRoomInterval).where(
                VideoRoomInterval.participant_id.in_(participants),
                VideoRoomInterval.left_at.is_(None),
            )
        )
        projection.open_intervals = {row.participant_id: row for row in opened}
    if messages:
        stored = await unit.session.scalars(
            sa.select(MeetingChatMessage).where(MeetingChatMessage.id.in_(messages))
        )
        projection.messages = {row.id: row for row in stored}
    return projection


async def _with_raised_hand(unit: Unit, room_id: UUID, session_no: int) -> Iterable[UUID]:
    return await unit.session.scalars(
        sa.select(VideoRoomParticipant.id).where(
            VideoRoomParticipant.room_id == room_id,
            VideoRoomParticipant.session_no == session_no,
            VideoRoomParticipant.hand_seq.is_not(None),
        )
    )


# ----------------------------------------------------------------------------- participants


def _entered(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    source, _, key = str(fields["identity"]).partition(":")
    row = VideoRoomParticipant(
        id=UUID(fields["participant"]),
        room_id=projection.room.id,
        session_no=record.session_no,
        identity=fields["identity"],
        kind=fields["kind"],
        is_hidden=fields["hidden"],
        staff_id=UUID(key) if source == "staff" else None,
        person_id=UUID(key) if source == "person" else None,
        link_id=UUID(fields["link"]) if fields.get("link") else None,
        display_name=fields["name"],
        role=fields["role"],
        status="invited",
        scope="main",
        conn_epoch=0,
        rev=1,
        attributes=fields.get("attributes") or {},
    )
    projection.participants[row.id] = row
    projection.new_participants.append(row)


def _connected(projection: Projection, _record: JournalRecord, fields: dict[str, Any]) -> None:
    row = projection.participants[UUID(fields["participant"])]
    row.conn_epoch = fields["conn_epoch"]
    if fields.get("link"):  # came by another link than before
        row.link_id = UUID(fields["link"])


def _moved(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    row = projection.participants[UUID(fields["participant"])]
    state = fields["state"]
    row.status = state
    row.rev += 1
    if state == "waiting":
        row.waiting_at = row.waiting_at or record.at
    # One fact may lead through several states (waiting, admitted, joining): the flag tells.
    admitted = fields.get("admitted", False) or state == "admitted"
    if admitted and row.admitted_at is None:
        row.admitted_at = record.at
        by = record.body.get("by")
        row.admitted_by_id = UUID(by) if by else None
        announce(
            projection.unit,
            "meeting.participant_admitted",
            "video_room",
            projection.room.id,
            payload={"participant_id": str(row.id), "session_no": record.session_no},
        )
    if state == "active":
        row.joined_at = row.joined_at or record.at
        row.left_at = row.leave_reason = None
    if state in PARTICIPANT_GONE:
        row.left_at = record.at
        row.leave_reason = fields["reason"]
        row.audio_on = row.video_on = row.screen_on = False
        row.hand_seq = row.hand_raised_at = None


def _named(projection: Projection, _record: JournalRecord, fields: dict[str, Any]) -> None:
    projection.participants[UUID(fields["participant"])].display_name = fields["name"]


def _role(projection: Projection, _record: JournalRecord, fields: dict[str, Any]) -> None:
    projection.participants[UUID(fields["participant"])].role = fields["role"]


_TRACK_COLUMNS = {"mic": "audio_on", "camera": "video_on", "screen": "screen_on"}


def _track(projection: Projection, _record: JournalRecord, fields: dict[str, Any]) -> None:
    row = projection.participants[UUID(fields["participant"])]
    setattr(row, _TRACK_COLUMNS[fields["source"]], fields["on"])


def _hands(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    order = {UUID(who): place for place, who in enumerate(fields["order"], start=1)}
    for row in projection.participants.values():
        place = order.get(row.id)
        row.hand_seq = place
        row.hand_raised_at = None if place is None else (row.hand_raised_at or record.at)


def _link_banned(projection: Projection, _record: JournalRecord, fields: dict[str, Any]) -> None:
    projection.banned_links.append(UUID(fields["link"]))


def _interval_opened(
    projection: Projection, _record: JournalRecord, fields: dict[str, Any]
) -> None:
    row = VideoRoomInterval(
        id=projection.unit.ids(),
        participant_id=UUID(fields["participant"]),
        scope=fields["scope"],
        joined_at=datetime.fromisoformat(fields["joined_at"]),
    )
    projection.open_intervals[row.participant_id] = row
    projection.new_rows.append(row)
    projection.participants[row.participant_id].scope = row.scope


def _interval_closed(
    projection: Projection, _record: JournalRecord, fields: dict[str, Any]
) -> None:
    row = projection.open_intervals.pop(UUID(fields["participant"]))
    # Two clocks' roundings may differ by a millisecond; an interval never ends before it begins.
    row.left_at = max(datetime.fromisoformat(fields["left_at"]), row.joined_at)
    row.leave_reason = fields["reason"]
    participant = projection.participants[row.participant_id]
    if participant.left_at is not None:
        participant.left_at = row.left_at  # not when it was noticed


# --------------------------------------------------------------------------------- the room


def _room_state(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    room, sitting = projection.room, projection.sitting
    state = fields["state"]
    if sitting.status in ROOM_OVER and state != "archived":
        return  # cancelled by the calendar while this fact was under way; over is over
    sitting.status = state
    if (
        room.status != "cancelled" or state in ROOM_OVER
    ):  # what the calendar said stands till the end
        room.status = state
    if state == "live" and sitting.started_at is None:
        room.started_at = sitting.started_at = record.at
        projection.started = record
        announce(
            projection.unit,
            "meeting.started",
            "video_room",
            room.id,
            payload={"session_no": sitting.session_no},
        )
    elif state == "expired":
        projection.ended_at = record.at


def _room_ended(projection: Projection, _record: JournalRecord, fields: dict[str, Any]) -> None:
    room, sitting = projection.room, projection.sitting
    if sitting.ended_at is not None:
        return  # as above
    room.status = sitting.status = "ended"
    room.end_reason = sitting.end_reason = fields["reason"]
    by = fields.get("by")
    sitting.ended_by_id = UUID(by) if by else None
    projection.ended_at = datetime.fromisoformat(fields["ended_at"])


def _room_changed(projection: Projection, _record: JournalRecord, fields: dict[str, Any]) -> None:
    """The room's own settings; its times are the calendar's, which tells them to the room."""
    room = projection.room
    room.settings_rev = fields["rev"]
    patch = fields["patch"]
    for name, column in (("locked", "is_locked"), ("policy", "policy"), ("features", "features")):
        if name in patch:
            setattr(room, column, patch[name])
    if "title" in patch:
        room.name = patch["title"]


# ------------------------------------------------------------------------------------- chat


def _chat(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    recipient = fields.get("to")
    row = MeetingChatMessage(
        id=UUID(fields["id"]),
        room_id=projection.room.id,
        session_no=record.session_no,
        scope="main",
        kind="private" if recipient else "public",
        order_no=fields["no"],
        sender_id=UUID(fields["from"]),
        recipient_id=UUID(recipient) if recipient else None,
        body=fields["body"],
        created_at=record.at,
    )
    projection.messages[row.id] = row
    projection.new_rows.append(row)


def _chat_edited(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    row = projection.messages[UUID(fields["id"])]
    row.body = fields["body"]
    row.edited_at = record.at


def _chat_deleted(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    row = projection.messages[UUID(fields["id"])]
    row.body = None
    row.deleted_at = record.at
    by = record.body.get("by")
    row.deleted_by_id = UUID(by) if by else None


def _lobby_message(projection: Projection, record: JournalRecord, fields: dict[str, Any]) -> None:
    recipient = fields.get("to")
    projection.new_rows.append(
        MeetingChatMessage(
            id=UUID(fields["id"]),
            room_id=projection.room.id,
            session_no=record.session_no,
            scope="lobby",
            kind="lobby",
            sender_id=UUID(fields["from"]),
            recipient_id=UUID(recipient) if recipient else None,
            body=fields["text"],
            created_at=record.at,
        )
    )


Projector = Callable[[Projection, JournalRecord, dict[str, Any]], None]
PROJECTORS: dict[str, Projector] = {
    "participant.entered": _entered,
    "participant.connected": _connected,
    "participant.state": _moved,
    "participant.name": _named,
    "participant.role": _role,
    "link.banned": _link_banned,
    "interval.opened": _interval_opened,
    "interval.closed": _interval_closed,
    "track.state": _track,
    "hands": _hands,
    "room.state": _room_state,
    "room.changed": _room_changed,
    "room.ended": _room_ended,
    "chat.msg": _chat,
    "chat.edited": _chat_edited,
    "chat.deleted": _chat_deleted,
    "lobby.message": _lobby_message,
}
