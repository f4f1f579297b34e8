"""Links over the CRM: from a room's code and secret to a token's grant and what may be told.

The database is asked once for all who open links of one room at the same time.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from crm_core.errors import LinkRefused, RoomOver
from crm_core.meetings.service import FoundRoom, LinkGrant, LinkSays, MeetingService, RoomRecord

from .clock import Clock, stamp
from .errors import RequestError
from .http.join import OpenedLink, RoomSummary
from .journal import OPEN_TIMEOUT, Guard, JournalDownError, RoomUnknownError
from .roomconfig import config_of
from .sharing import SharedReads
from .tokens import JoinGrant

_NOT_FOUND: Final = "no such meeting, or the link is not valid any more"


class CrmLinks:
    """`http.join.Links` over `crm_core.meetings`."""

    def __init__(self, service: MeetingService, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._rooms = SharedReads(self._find)
        self._links = SharedReads(self._say)

    async def open(self, code: str, secret: str) -> OpenedLink:
        """See `Links.open`."""
        found = await self._ask(code)
        if found is None:
            raise RequestError("not_found", _NOT_FOUND)
        try:
            link = found.links.open(secret)
        except LinkRefused:
            raise RequestError("not_found", _NOT_FOUND) from None
        except RoomOver as over:
            # Who had met when it was cancelled was told so, and is told so again.
            cancelled = "cancelled" in {over.status, found.record.end_reason}
            raise RequestError("cancelled" if cancelled else "ended") from None
        record = found.record
        self._check_time(link, record)
        return OpenedLink(_grant(link), _summary(record))

    async def check(self, grant: JoinGrant) -> None:
        """Refuse a grant whose link opens nothing any more, as when new links have taken its place.

        Raises:
            RequestError: ``ended``, ``cancelled``, ``not_found`` or ``unavailable``.
        """
        try:
            says = await self._links.get((UUID(grant.tenant_id), UUID(grant.link_id)))
        except JournalDownError:
            raise RequestError("unavailable", retry_ms=1000) from None
        if says == "gone":
            raise RequestError("not_found", _NOT_FOUND)
        if says != "come":
            raise RequestError(says)

    async def _ask(self, code: str) -> FoundRoom | None:
        try:
            return await self._rooms.get(code)
        except RoomUnknownError:  # removed between two looks
            return None
        except JournalDownError:
            raise RequestError("unavailable", retry_ms=1000) from None

    async def _find(self, code: str) -> FoundRoom | None:
        async with Guard(OPEN_TIMEOUT):
            return await self._service.find_room(code)

    async def _say(self, link: tuple[UUID, UUID]) -> LinkSays:
        async with Guard(OPEN_TIMEOUT):
            return await self._service.ask_link(*link)

    def _check_time(self, link: LinkGrant, record: RoomRecord) -> None:
        config = config_of(record, record.session_no)
        if link.role == "host" or config.starts_at is None or record.status != "scheduled":
            return
        opens_at = config.starts_at - config.opens_before_s
        wait = opens_at - self._clock.now()
        if wait > 0:
            raise RequestError(
                "early",
                f"the door opens at {stamp(opens_at)}",
                opens_at=stamp(opens_at),
                retry_ms=int(wait * 1000) + 1,
                room=msgspec.structs.asdict(_summary(record)),
            )


def _grant(link: LinkGrant) -> JoinGrant:
    kind, subject = "guest", ""
    if link.staff_id is not None:
        kind, subject = "staff", str(link.staff_id)
    elif link.person_id is not None:
        kind, subject = "person", str(link.person_id)
    return JoinGrant(
        tenant_id=str(link.tenant_id),
        room_id=str(link.room_id),
        link_id=str(link.link_id),
        role=link.role,
        kind=kind,
        subject=subject,
        device="",
        lobby=link.lobby,
        name=link.display_name or None,
    )


def _summary(record: RoomRecord) -> RoomSummary:
    return RoomSummary(
        title=record.title,
        type=record.type,
        state=record.status,
        starts_at=_iso(record.starts_at),
        ends_at=_iso(record.ends_at),
        host_name=record.host_name,
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment.timestamp())
