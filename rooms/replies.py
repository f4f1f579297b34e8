"""Answers kept for retries: the same request id by the same identity is answered, not repeated.

An answer that belongs to a fact is journaled with it (``Event.done``), so that a retry after a
failover finds it, too. Refusals are not kept: a retry may succeed. Kept for ten minutes and
bounded per identity, also for people who have left: identities come as fast as devices do.
"""

import zlib
from typing import Any

import msgspec
from msgspec import Struct

from .commands import Action
from .errors import Code, RoomError
from .events import Done
from .ids import Identity, RequestId
from .limits import REPLIES
from .timers import REPLY_KEPT_S


def digest(action: Action) -> int:
    """A short fingerprint of a request, to tell a retry from a reused id."""
    return zlib.crc32(action.method.encode() + msgspec.json.encode(action))


class Reply(Struct, frozen=True):
    """An answer, and when it was given (room time)."""

    digest: int
    reply: dict[str, Any]
    now: float


class Replies(Struct):
    """identity → request id → answer, both oldest first: who was answered last stands last."""

    by_identity: dict[Identity, dict[RequestId, Reply]] = {}

    def find(self, identity: Identity, id_: RequestId, action: Action, now: float) -> Reply | None:
        """The stored answer to this request, if it was asked before.

        Raises:
            RoomError: ``conflict`` if the id was used for another request.
        """
        reply = self.by_identity.get(identity, {}).get(id_)
        if reply is None or now - reply.now > REPLY_KEPT_S:
            return None
        if reply.digest != digest(action):
            raise RoomError(Code.CONFLICT, "this request id was used for another request")
        return reply

    def remember(self, done: Done, now: float, at_most: int = REPLIES) -> None:
        """Keep an answer, and let the ones go that are too old, or more than `at_most`."""
        kept = self.by_identity.pop(done.identity, {})
        self.by_identity[done.identity] = kept
        kept.pop(done.id, None)
        kept[done.id] = Reply(done.digest, done.reply, now)
        while len(kept) > at_most or now - next(iter(kept.values())).now > REPLY_KEPT_S:
            del kept[next(iter(kept))]
        while now - self._newest(first := next(iter(self.by_identity))).now > REPLY_KEPT_S:
            del self.by_identity[first]

    def _newest(self, identity: Identity) -> Reply:
        return next(reversed(self.by_identity[identity].values()))
