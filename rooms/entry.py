"""Coming and going: who gets in, who waits and for what, who is given up.

``verdict`` is the one place that decides an arrival. Leaving on purpose frees the seat at once;
a lost connection is shown after 5 s and given up after 60 s (a place in the queue after 5 min).
A newer connection of the same identity supersedes the older one; everything that an old one
still sends is told apart by its ``conn_epoch``. What hosts decide at the door is in
``rooms.lobby``.
"""

from .commands import Arrived, Disconnected, Enter, Entered, Resume
from .errors import Code, RoomError
from .events import (
    LinkBanned,
    ParticipantAway,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantEntered,
    ParticipantNamed,
    ParticipantRole,
    TrackState,
    Waits,
)
from .ids import ConnEpoch, LinkId, ParticipantId
from .limits import GUEST_ROWS, LINK_ROWS, LINK_WAITING, ROWS, WAITING
from .outcome import CloseReason
from .participant import HOSTING, Participant
from .policy import IdentityKind, Kind, Role
from .state import State
from .states import ParticipantState, RoomState
from .step import Step
from .text import check_name


def verdict(state: State, row: Participant) -> Waits | None:
    """What this row has to wait for, or None when it may come in now."""
    if not row.person:
        return None
    if row.role is not Role.HOST:
        if row.revoked or not (row.admitted or _direct(state, row)):
            return "verdict"
        if not state.live and not state.policy.before_host:
            return "start"
    return None if state.seat_free(row) else "seat"


def enter(step: Step, command: Enter) -> None:
    """Somebody stands at the door, or is back.

    Raises:
        RoomError: ``ended``, ``cancelled``, ``early``, ``closed`` (locked), ``forbidden``
            (banned), ``full`` (not even the queue has room), ``bad_request``.
    """
    state = step.state
    check_name(command.name)
    if command.hidden and command.kind is Kind.PERSON:
        raise RoomError(Code.BAD_REQUEST, "a person cannot be hidden")
    if (command.kind is Kind.PERSON) is (command.identity_kind is IdentityKind.SERVICE):
        raise RoomError(Code.BAD_REQUEST, "only services have a service identity")
    if command.kind is not Kind.PERSON and command.role in HOSTING:
        raise RoomError(Code.BAD_REQUEST, "a service cannot lead a meeting")
    known = state.by_identity.get(command.identity)
    row = None if known is None else state.participants[known]
    _check_door(step, row, command)
    new = row is None
    if row is None:
        _check_rows(state, command)
        row = _make_row(step, command)
    step.by = row.id
    if command.name != row.name:
        step.fact(ParticipantNamed(participant=row.id, name=command.name, was=row.name))
    if command.role is Role.HOST and row.base_role is not Role.HOST:
        step.fact(ParticipantRole(participant=row.id, role=Role.HOST, was=row.role, reason="link"))
    for source, track in row.tracks.items():
        if track.on:  # a new page publishes nothing yet, whatever the old one did
            step.fact(TrackState(row.id, source, on=False, track=track.track, reason="self"))
    _connect(step, row, new=new, link=None if command.link == row.link else command.link)


def resume(step: Step, command: Resume) -> None:
    """A known participant is back over a new connection, its page and its tracks unchanged.

    Raises:
        RoomError: As ``enter``, ``not_found``, and ``closed`` for one who was put out or turned
            away: that takes a new ``Enter``.
    """
    row = step.state.participants.get(command.participant)
    if row is None:
        raise RoomError(Code.NOT_FOUND, "there is no such participant")
    _check_door(step, row, row)
    if row.state in {ParticipantState.DENIED, ParticipantState.REMOVED}:
        raise RoomError(Code.CLOSED, "this participant was sent away", state=row.state.value)
    step.by = row.id
    _connect(step, row, new=False)


def arrived(step: Step, command: Arrived) -> None:
    """A client whose admission was decided is really there."""
    row = step.state.participants.get(command.participant)
    if row is not None and row.connected and command.conn_epoch == row.conn_epoch:
        step.by = row.id
        arrive(step, row)


def arrive(step: Step, row: Participant) -> None:
    """Make a joining row active; others stay as they are."""
    if row.state is ParticipantState.JOINING:
        step.move(row, "arrive", reason="arrived")


def disconnected(step: Step, command: Disconnected) -> None:
    """A connection is gone; the late close of a superseded one means nothing."""
    row = step.state.participants.get(command.participant)
    if row is not None and row.connected and command.conn_epoch == row.conn_epoch:
        lose(step, row, step.now)


def lose(step: Step, row: Participant, lost_at: float, *, restarted: bool = False) -> None:
    """Note that the row's connection is gone since ``lost_at``, maybe with the room's last node."""
    step.fact(ParticipantDisconnected(row.id, row.conn_epoch, lost_at, restarted))


def leave(step: Step, row: Participant) -> None:
    """Go on purpose; the admission is kept for this sitting."""
    step.close(row, CloseReason.LEFT)
    step.move(row, "leave", reason="left")


def admit(step: Step, row: Participant, reason: str) -> None:
    """Let a waiting row in; it is active once its client gave a sign of life."""
    triggers = ("admit", "connect") if row.connected else ("admit",)
    step.move(row, *triggers, reason=reason, admitted=True)


def show_lost(step: Step, key: str) -> None:
    """Timer ``show_lost``: from now on the loss is visible."""
    row = step.state.participants[ParticipantId(key)]
    if row.waiting:
        step.fact(ParticipantAway(row.id))
    else:
        step.move(row, "lose", reason="lost")


def give_up(step: Step, key: str) -> None:
    """Timers ``reconnect``, ``place`` and ``admitted``: the row did not come (back)."""
    row = step.state.participants[ParticipantId(key)]
    if row.state is ParticipantState.RECONNECTING:
        step.move(row, "leave", reason="lost")
    else:
        step.close(row, CloseReason.LEFT, "expired")
        step.move(row, "expire", reason="expired")


def ban_link(step: Step, row: Participant) -> None:
    """Close a banned person's own link; a link that guests share stays open to the others."""
    if row.link is not None and row.identity_kind is IdentityKind.PERSON:
        step.fact(LinkBanned(row.link))


def _direct(state: State, row: Participant) -> bool:
    """Whether the lobby policy lets this row pass without a host's word."""
    lobby = state.policy.lobby
    if lobby == "off":
        return True
    if lobby == "guests":
        return not row.lobby or row.identity_kind is IdentityKind.STAFF
    if lobby == "walk_ins":
        return not row.lobby or row.identity_kind is not IdentityKind.GUEST
    return False


def _check_door(step: Step, row: Participant | None, comer: Enter | Participant) -> None:
    """Refuse whom the room lets neither in nor wait."""
    state = step.state
    _check_over(state)
    if row is not None and row.state is ParticipantState.BANNED:
        raise RoomError(Code.FORBIDDEN, "this participant was banned", need="not_banned")
    if row is not None and (row.seated or row.waiting):
        return
    if comer.link in state.banned_links:
        raise RoomError(Code.FORBIDDEN, "this link was banned", need="not_banned")
    if state.state is RoomState.ENDING:
        raise RoomError(Code.ENDED, "the meeting is ending")
    if state.state is RoomState.DRAFT:
        raise RoomError(Code.EARLY, "the meeting is not scheduled yet")
    if comer.role is not Role.HOST and comer.kind is Kind.PERSON:
        _check_time(step)
        if state.locked and not (row is not None and row.admitted):
            raise RoomError(Code.CLOSED, "the room is locked")
        for limit, rivals in _rivals(state, comer):
            if sum(rival.connected for rival in rivals) >= limit:
                raise RoomError(Code.FULL, "the waiting room is full", limit=limit)


def _rivals(state: State, comer: Enter | Participant) -> list[tuple[int, list[Participant]]]:
    """Each limit of the queue that concerns this comer, with those who wait within it.

    Guests take no place from people known by name, nor one link's guests all from the others'.
    """
    named = comer.identity_kind is not IdentityKind.GUEST
    rivals = [row for row in state.queue() if row.named is named]
    limits = [(WAITING, rivals)]
    if not named and comer.link is not None:
        limits.append((LINK_WAITING, [row for row in rivals if row.link == comer.link]))
    return limits


def _make_place(step: Step, comer: Participant) -> None:
    """Where all places are taken, whoever is without a connection for longest gives up theirs."""
    for limit, rivals in _rivals(step.state, comer):
        waiting = [row for row in rivals if row.waiting]
        lost = [row for row in waiting if not row.connected]
        lost.sort(key=lambda row: row.lost_at or 0.0)
        for row in lost[: max(0, len(waiting) - limit + 1)]:
            give_up(step, row.id)


def _check_rows(state: State, command: Enter) -> None:
    """Refuse one more row where there are too many; those of guests take none from others."""
    rows = state.participants.values()
    limit = ROWS
    full = len(rows) >= ROWS
    if command.identity_kind is IdentityKind.GUEST and command.role is not Role.HOST:
        guests = [row for row in rows if not row.named]
        limit, full = GUEST_ROWS, full or len(guests) >= GUEST_ROWS
        if not full and command.link is not None:
            limit, full = LINK_ROWS, sum(row.link == command.link for row in guests) >= LINK_ROWS
    if full:
        raise RoomError(Code.FULL, "the room has seen too many people", limit=limit)


def _check_over(state: State) -> None:
    if "cancelled" in {state.state, state.end_reason}:  # before it began, or while people met
        raise RoomError(Code.CANCELLED, "the appointment was cancelled")
    if state.over:
        raise RoomError(Code.ENDED, "the meeting has ended")


def _check_time(step: Step) -> None:
    opens_at = step.state.opens_at
    scheduled = step.state.state is RoomState.SCHEDULED
    if scheduled and opens_at is not None and step.now < opens_at:
        raise RoomError(Code.EARLY, "the door is not open yet", opens_at=step.stamp(opens_at))


def _make_row(step: Step, command: Enter) -> Participant:
    id_ = ParticipantId(step.ids.new())
    step.by = id_
    step.fact(
        ParticipantEntered(
            participant=id_,
            identity=command.identity,
            identity_kind=command.identity_kind,
            kind=command.kind,
            name=command.name,
            role=command.role,
            verified=command.verified,
            hidden=command.hidden,
            link=command.link,
            lobby=command.lobby,
            deny=command.deny,
            attributes=command.attributes,
        )
    )
    return step.state.participants[id_]


def _connect(step: Step, row: Participant, *, new: bool, link: LinkId | None = None) -> None:
    state = step.state
    step.close(row, CloseReason.SUPERSEDED)
    conn_epoch = ConnEpoch(row.conn_epoch + 1)
    step.fact(ParticipantConnected(row.id, conn_epoch, link))
    if row.state is ParticipantState.ADMITTED:
        step.move(row, "connect", "arrive", reason="arrived")
    elif row.state is ParticipantState.RECONNECTING:
        step.move(row, "resume", reason="resumed")
    elif row.state is ParticipantState.JOINING:
        arrive(step, row)
    elif not row.active:
        waits = verdict(state, row)
        if waits is None:
            step.move(row, "admit", "connect", "arrive", reason="policy", admitted=True)
        elif not row.waiting:
            _make_place(step, row)
            step.move(row, "knock", reason="arrived", waits=waits)
    step.entered = Entered(
        participant=row.id,
        conn_epoch=conn_epoch,
        role=row.role,
        state=row.state.value,
        place=state.place(row),
        new=new,
    )
