"""How REST shares the database with the meetings: a few requests at a time, callers in rotation.

Who joins, what a meeting commits and the look for its health wait for the same connections, of which
SQLite has one that writes. So a caller with many connections waits for itself, and a stranger who
guesses keys for other strangers. Who has too many requests waiting is refused, and a request whose
caller hung up meanwhile is not carried out.
"""

import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Final
from uuid import UUID

from crm_core.tenants.service import ApiGrant, Unauthorized, authenticate, key_hash
from signaling.limits import counted
from storage.database import Database, Unit
from storage.turns import SentAway, Turns

from .problems import HttpProblem

READS: Final = 4
"""Requests that read at the same time; the pool has ten connections, and people who join need some."""
LOOK_UPS: Final = 2
"""Of keys that were good before."""
MAX_WAITING: Final = 256
"""Requests of one key, or of one visitor with keys that were never good, that wait in the same row."""
MAX_STRANGERS: Final = 4096
"""Requests of all such visitors."""
MAX_UNSENT: Final = 8
"""Large answers of one key that nobody has taken yet: each is some megabytes."""
MAX_BODIES: Final = 16
"""Large bodies of one key at the same time, from before they are read until the answer is made: what is
made of a megabyte is some more."""
KNOWN_KEYS: Final = 1000
"""Remembered as good once; the longest unused is forgotten first."""


class RestTurns:
    """The turns of all REST requests of this node, and what they take them for.

    Args:
        database: the server's pools.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reads = Turns(READS, pauses=True)
        self._writes = database.request_turns
        self._bodies = Turns(pauses=True)
        self._look_ups = Turns(LOOK_UPS)
        self._strangers = Turns(pauses=True)
        self._unsent: Counter[UUID | str] = Counter()
        """Large answers, by API key, or by visitor where none is needed."""
        self._held: Counter[UUID] = Counter()
        """Large bodies, by API key."""
        self._known: OrderedDict[bytes, None] = OrderedDict()
        """Hashes of keys that were good; they are looked up all the same."""

    def waiting(self) -> int:
        """Requests that wait now, but for those that wait to write (`Database.waiting`)."""
        every = (self._reads, self._bodies, self._look_ups, self._strangers)
        return sum(turns.waiting() for turns in every)

    async def authenticate(
        self, secret: str, address: str, is_there: Callable[[], bool]
    ) -> ApiGrant:
        """Who holds this key; keys that were never good wait for each other, by visitor.

        Of too many visitors, who has most waiting gives way.

        Args:
            secret: the key as sent.
            address: what is counted as one visitor.
            is_there: whether the caller still waits for an answer.

        Raises:
            Unauthorized: see `crm_core.tenants.service.authenticate`.
            HttpProblem: 429, too many wait.
        """
        hashed = key_hash(secret)
        if hashed in self._known:
            turn = _turn(self._look_ups, hashed, is_there=is_there)
        elif self._strangers.waiting() < MAX_STRANGERS or self._strangers.make_way(address):
            turn = _turn(self._strangers, address, is_there=is_there)
        else:
            raise _too_many()
        async with turn:
            try:
                grant = await authenticate(self._database, secret)
            except Unauthorized:
                self._known.pop(hashed, None)
                raise
        self._known[hashed] = None
        self._known.move_to_end(hashed)
        if len(self._known) > KNOWN_KEYS:
            self._known.popitem(last=False)
        return grant

    def decoding(
        self, grant: ApiGrant, is_there: Callable[[], bool]
    ) -> AbstractAsyncContextManager[None]:
        """The caller's turn for what takes the loop milliseconds.

        Raises:
            HttpProblem: 429, too many wait.
        """
        return _turn(self._bodies, *_asker(grant), is_there=is_there)

    @contextlib.asynccontextmanager
    async def reading(self, grant: ApiGrant, is_there: Callable[[], bool]) -> AsyncIterator[Unit]:
        """A unit of work that reads, in the caller's turn.

        Raises:
            HttpProblem: 429, too many wait, or too many answers are not taken.
        """
        async with _turn(self._reads, *_asker(grant), is_there=is_there):
            self._require_taken(grant.api_key_id)
            async with self._database.unit_of_work(grant.tenant_id, read_only=True) as unit:
                yield unit

    @contextlib.asynccontextmanager
    async def writing(self, grant: ApiGrant, is_there: Callable[[], bool]) -> AsyncIterator[Unit]:
        """A unit of work by the key's staff member, in the caller's turn.

        Raises:
            HttpProblem: 429, too many wait, or too many answers are not taken: a write is answered with the
                record.
        """
        async with _turn(self._writes, *_asker(grant), is_there=is_there):
            self._require_taken(grant.api_key_id)
            async with self._database.unit_of_work(
                grant.tenant_id, actor_id=grant.staff_id, in_turn=True
            ) as unit:
                yield unit

    def sending(self, grant: ApiGrant) -> AbstractContextManager[None]:
        """While a large answer is on its way to the caller."""
        return counted(self._unsent, grant.api_key_id)

    def publishing(self, address: str) -> AbstractContextManager[None]:
        """While a large answer that needs no key is on its way.

        Args:
            address: what is counted as one visitor.

        Raises:
            HttpProblem: 429, too many are not taken.
        """
        self._require_taken(address)
        return counted(self._unsent, address)

    def holding(self, grant: ApiGrant) -> AbstractContextManager[None]:
        """While there is a large body, and what was made of it.

        Raises:
            HttpProblem: 429, there are too many.
        """
        if self._held[grant.api_key_id] >= MAX_BODIES:
            raise _refusal("too many large bodies at the same time: send fewer")
        return counted(self._held, grant.api_key_id)

    def _require_taken(self, whose: UUID | str) -> None:
        if self._unsent[whose] >= MAX_UNSENT:
            raise _refusal("too many answers were not taken yet: read them first")


def _asker(grant: ApiGrant) -> tuple[UUID, UUID]:
    return grant.tenant_id, grant.api_key_id


@contextlib.asynccontextmanager
async def _turn(
    turns: Turns, *asker: Hashable, is_there: Callable[[], bool]
) -> AsyncIterator[None]:
    if turns.waiting(*asker) >= MAX_WAITING:
        raise _too_many()
    try:
        async with turns.take(*asker, is_there=is_there):
            yield
    except SentAway:
        raise _too_many() from None


def _too_many() -> HttpProblem:
    return _refusal("too many requests wait: send fewer at the same time")


def _refusal(detail: str) -> HttpProblem:
    return HttpProblem(429, "rate", detail, headers={"Retry-After": "1"})
