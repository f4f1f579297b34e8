"""One step of a room: the input being decided, and what has come of it so far.

Deciding code checks everything first and then states facts with ``fact``; each is folded at once,
so later decisions of the same step see it. ``show`` is for what screens are told and nothing
depends on. A step is drained by ``rooms.room`` before the next one begins.
"""

from typing import Any

from msgspec.structs import replace

from .commands import Entered
from .errors import Code, RoomBug, RoomError
from .events import Body, Done, Event, ParticipantMoved, RoomOpened, Waits
from .fold import apply
from .ids import JOURNAL, Ids, ParticipantId, Stamp, Stream
from .live import Live
from .outcome import Close, CloseReason, Outcome
from .participant import Participant
from .state import State
from .states import PARTICIPANT_MACHINE, ParticipantState, advance


class Step:
    """The context that every deciding function gets.

    Attributes:
        state: The room.
        live: Its volatile half.
        ids: Where new ids come from.
        now: Room time.
        at: The same as a stamp.
        policy: The policy before this step.
        features: The features before it.
        by: The participant who asked, or None.
        entered: The answer to an entry.
        facts: What was stated so far.
        settled: How many of them the rules have seen.
    """

    def __init__(self, state: State, live: Live, ids: Ids, stamp: Stamp, now: float) -> None:
        self.state = state
        self.live = live
        self.ids = ids
        self.now = now
        self.at = stamp(now)
        self.policy = state.policy
        self.features = state.features
        self.by: ParticipantId | None = None
        self.entered: Entered | None = None
        self.facts: list[Event] = []
        self.settled = 0
        self._stamp = stamp
        self._shown: list[Event] = []
        self._resync: dict[ParticipantId, None] = {}
        self._withdraw: dict[ParticipantId, None] = {}
        self._closes: list[Close] = []

    def stamp(self, when: float) -> str:
        """Another moment as a stamp."""
        return self._stamp(when)

    def fact(self, body: Body, stream: Stream = JOURNAL) -> None:
        """State what happened, and fold it; the first fact of a sitting says what it began with."""
        if self.state.seq == 0:
            self._state(RoomOpened(self.state.config), JOURNAL)
        self._state(body, stream)

    def _state(self, body: Body, stream: Stream) -> None:
        event = Event(body.event, stream, "committed", self.now, self.at, self.by, body)
        apply(self.state, event)
        self.facts.append(event)

    def show(self, body: Body, stream: Stream) -> None:
        """Tell an audience something that is not stored."""
        event = Event(body.event, stream, "ephemeral", self.now, self.at, self.by, body)
        self._shown.append(event)

    def move(
        self,
        row: Participant,
        *triggers: str,
        reason: str,
        admitted: bool | None = None,
        waits: Waits | None = None,
    ) -> None:
        """Drive a row along its machine, one fact for the whole way.

        Args:
            row: Whose state changes.
            triggers: The edges to take, in order.
            reason: For the record.
            admitted: Whether the row holds an admission afterwards; None leaves it.
            waits: What it waits for, when it ends up waiting.
        """
        target = row.state
        for trigger in triggers:
            target = advance(PARTICIPANT_MACHINE, target, trigger)
        waiting = target is ParticipantState.WAITING
        self.fact(
            ParticipantMoved(
                participant=row.id,
                state=target,
                was=row.state,
                reason=reason,
                waits=waits,
                position=self.state.next_position if waiting else None,
                admitted=row.admitted if admitted is None else admitted,
            )
        )

    def resync(self, participant: ParticipantId, *, withdraw: bool = False) -> None:
        """This participant's streams change, some are lost: a fresh snapshot is due."""
        self._resync[participant] = None
        if withdraw:
            self._withdraw[participant] = None

    def close(self, row: Participant, reason: CloseReason, detail: str | None = None) -> None:
        """Close the row's connection, if it has one."""
        if row.connected:
            self._closes.append(Close(row.id, row.conn_epoch, reason, detail))

    def row(self, participant: ParticipantId) -> Participant:
        """A row by id.

        Raises:
            RoomError: ``not_found``; also for hidden ones.
        """
        row = self.state.participants.get(participant)
        if row is None or row.hidden:
            raise RoomError(Code.NOT_FOUND, "there is no such participant")
        return row

    def sign(self, done: Done) -> None:
        """Attach the answered request to the last fact."""
        self.facts[-1] = replace(self.facts[-1], done=done)
        self.state.replies.remember(done, self.now)

    def outcome(self, reply: dict[str, Any]) -> Outcome:
        """Everything that came of this step."""
        closing = {close.participant for close in self._closes}
        return Outcome(
            reply=reply,
            events=(*self.facts, *self._shown),
            withdraw=tuple(self._withdraw),
            resync=tuple(p for p in self._resync if p not in closing),
            closes=tuple(self._closes),
            entered=self.entered,
        )

    def untouched(self) -> None:
        """Assert that nothing was stated: a refusal leaves the room as it was.

        Raises:
            RoomBug: Facts were stated before the refusal.
        """
        if self.facts or self._shown:
            raise RoomBug("a step was refused after it had stated facts")
