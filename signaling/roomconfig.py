"""What a room is set up to be, from its rows: `RoomRecord` to ``rooms.policy.RoomConfig``.

The type's preset, changed by the fields that the row names. A value that this version does not
know is our own data gone wrong and is raised, except a lobby policy, which makes everybody wait.
"""

from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from crm_core.meetings.service import RoomRecord
from rooms.policy import Features, Policy, RoomConfig, preset


def config_of(record: RoomRecord, session_no: int) -> RoomConfig:
    """The configuration that a sitting of this room starts from."""
    config = preset(
        "training" if record.type in {"training", "webinar"} else "consultation",
        id=str(record.id),
        code=record.code,
        title=record.title,
        session_no=session_no,
        starts_at=None if record.starts_at is None else record.starts_at.timestamp(),
        ends_at=None if record.ends_at is None else record.ends_at.timestamp(),
    )
    return replace(
        config,
        scheduled=record.status != "draft",
        capacity=record.capacity,
        reserved_seats=record.reserved_seats,
        policy=_merged(config.policy, record.policy, Policy),
        features=_merged(config.features, record.features, Features),
    )


def _merged(preset_value: Any, changes: dict[str, Any], kind: type[Any]) -> Any:
    return msgspec.convert({**asdict(preset_value), **changes}, kind)
