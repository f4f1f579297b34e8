"""Communications and their participants as resources."""

from typing import Any

from storage.database import Unit

from ..resources.declaration import READ_ONLY, Caller, Include, Outcome, Resource
from . import service
from .models import DIRECTIONS, PARTICIPANT_ROLES, Communication, CommunicationParticipant


async def _create(unit: Unit, values: dict[str, Any], _caller: Caller) -> Outcome:
    return Outcome(await service.log_communication(unit, values))


COMMUNICATIONS = Resource(
    Communication,
    "communication",
    "Calls, mails, messages and meetings",
    long_texts=frozenset({"body", "summary", "notes", "reply_text", "transcript"}),
    fixed=frozenset({"channel", "message_id", "occurred_at"}),
    optional=frozenset({"occurred_at"}),
    choices={"direction": DIRECTIONS},
    children=(Include("participants", "communication_participants", "id", "communication_id"),),
    create=_create,
)
PARTICIPANTS = Resource(
    CommunicationParticipant,
    "communication_participant",
    "Who took part in a conversation",
    operations=READ_ONLY,
    choices={"role": PARTICIPANT_ROLES},
)
