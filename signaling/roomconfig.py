"""What a room is set up to be, from its rows: `RoomRecord` to ``rooms.policy.RoomConfig``.

`news` is what a room has to hear because the calendar decided it while the room was open, or slept.
The type's preset, changed by the fields that the row names. A value that this version does not
know is our own data gone wrong and is raised, except a lobby policy, which makes everybody wait.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from crm_core.meetings.service import RoomPlan, RoomRecord
from rooms.commands import Cancelled, Finish, Input, LinksClosed, LinksVoided, Rescheduled
from rooms.ids import LinkId
from rooms.policy import Features, Policy, RoomConfig, preset
from rooms.room import Room


def config_of(record: RoomRecord, session_no: int) -> RoomConfig:
    """The configuration that a sitting of this room starts from."""
    config = preset(
        "training" if record.type in {"training", "webinar"} else "consultation",
        id=str(record.id),
        code=record.code,
        title=record.title,
        session_no=session_no,
        starts_at=_seconds(record.starts_at),
        ends_at=_seconds(record.ends_at),
    )
    return replace(
        config,
        scheduled=record.status != "draft",
        capacity=record.capacity,
        reserved_seats=record.reserved_seats,
        policy=_merged(config.policy, record.policy, Policy),
        features=_merged(config.features, record.features, Features),
    )


def news(plan: RoomPlan, room: Room) -> Sequence[Input]:
    """What the room must be told to be as planned: nothing, if it is."""
    state = room.state
    if state.over:
        return ()
    if plan.status == "cancelled":
        return (Finish("cancelled") if state.live else Cancelled(),)
    found: list[Input] = []
    starts_at, ends_at = _seconds(plan.starts_at), _seconds(plan.ends_at)
    if (starts_at, ends_at) != (state.starts_at, state.ends_at):
        found.append(Rescheduled(starts_at, ends_at))
    closed = tuple(LinkId(str(link)) for link in plan.closed_links)
    if any(link not in state.banned_links for link in closed):
        found.append(LinksClosed(closed))
    voided = tuple(LinkId(str(link)) for link in plan.void_links)
    if any(row.unheard and row.link in voided for row in state.participants.values()):
        found.append(LinksVoided(voided))
    return found


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _merged(preset_value: Any, changes: dict[str, Any], kind: type[Any]) -> Any:
    return msgspec.convert({**asdict(preset_value), **changes}, kind)
