"""From facts to screens: what of a step is told to whom, beyond the facts that clients see.

Runs at the end of every step over its facts. The roster is in ``rooms.roster``; here are the
queue for hosts, verdicts and places for those who wait, and personal notices. A waiting person is
told nothing but their own place and verdict and what hosts write to the door.
"""

from .events import (
    Event,
    HostPresenceChanged,
    LobbyList,
    LobbyState,
    ParticipantMoved,
    ParticipantPermission,
    ParticipantRole,
    PermChanged,
    RightsReason,
    RoomChanged,
    RoomRescheduled,
    SpeakersChanged,
    TrackState,
    Waiter,
)
from .ids import EPHEMERAL, HOSTS, ParticipantId, Stamp, lobby_stream, self_stream
from .participant import HOSTING, Participant
from .permissions import PUBLISH, may, rights, rights_under
from .roster import settle as settle_roster
from .state import State
from .states import SEATED, ParticipantState
from .step import Step
from .timers import PLACES_S, Timer


def settle(step: Step) -> None:
    """Tell what this step changed."""
    if step.state.over:
        step.live.deadlines.at.clear()
        return
    touched: dict[ParticipantId, None] = {}
    queue_ver = step.state.lobby_ver
    for fact in step.facts:
        row_id = getattr(fact.body, "participant", None)
        if row_id is not None:
            touched[row_id] = None
        _personal(step, fact)
    _new_rules(step)
    live = step.live
    live.roster_pending.update(touched)
    live.roster_urgent = live.roster_urgent or any(
        isinstance(fact.body, TrackState) for fact in step.facts
    )
    settle_roster(step)
    if queue_ver != live.lobby_ver:
        live.lobby_ver = queue_ver
        _queue(step, touched)
        live.places_due = True
    if any(isinstance(fact.body, HostPresenceChanged | RoomRescheduled) for fact in step.facts):
        live.places_due = True
    _settle_places(step)
    _drop_speakers(step)


def places(step: Step, _key: str = "") -> None:
    """Timer ``places``: tell everybody who waits what they do not know yet."""
    live = step.live
    live.deadlines.clear(Timer.PLACES)
    live.places_due = False
    live.places_at = step.now
    told: dict[ParticipantId, LobbyState] = {}
    for place, row in enumerate(step.state.queue(), start=1):
        view = told[row.id] = waiting_view(step.state, row, place, step.stamp)
        if live.told.get(row.id) != view:
            step.show(view, lobby_stream(row.id))
    live.told = told


def waiting_view(state: State, row: Participant, place: int | None, stamp: Stamp) -> LobbyState:
    """What a waiting person may know."""
    return LobbyState(
        verdict="waiting",
        place=place,
        waits=row.waits,
        host=state.host_presence,
        starts_at=None if state.starts_at is None else stamp(state.starts_at),
    )


def perm_changed(state: State, row: Participant, reason: RightsReason) -> PermChanged:
    """What a person may do now."""
    return PermChanged(
        role=row.role,
        can=rights(state, row),
        publish={source.value: may(state, row, right) for source, right in PUBLISH.items()},
        reason=reason,
    )


def _personal(step: Step, fact: Event) -> None:
    """Notices to the one person whom a fact is about."""
    body = fact.body
    if isinstance(body, ParticipantMoved):
        _verdict(step, body)
    elif isinstance(body, ParticipantRole):
        row = step.state.participants[body.participant]
        if row.state in SEATED:
            step.show(perm_changed(step.state, row, "role"), self_stream(row.id))
            if (body.role in HOSTING) is not (body.was in HOSTING):
                step.resync(row.id, withdraw=body.was in HOSTING)
    elif isinstance(body, ParticipantPermission):
        row = step.state.participants[body.participant]
        step.show(perm_changed(step.state, row, "host"), self_stream(row.id))
    elif isinstance(body, RoomChanged) and "policy" in body.patch:
        _roster_mode(step)


def _new_rules(step: Step) -> None:
    """Tell whoever may do more or less under rules that this step changed."""
    state = step.state
    if (step.policy, step.features) == (state.policy, state.features):
        return
    for row in state.participants.values():
        if row.state not in SEATED:
            continue
        if rights_under(step.policy, step.features, row) != rights(state, row):
            step.show(perm_changed(state, row, "policy"), self_stream(row.id))


def _verdict(step: Step, body: ParticipantMoved) -> None:
    row = step.state.participants[body.participant]
    if body.was is ParticipantState.WAITING:
        if body.state in SEATED:
            step.show(LobbyState(verdict="admitted"), lobby_stream(row.id))
            step.resync(row.id)
        elif body.state in {ParticipantState.DENIED, ParticipantState.BANNED}:
            step.show(LobbyState(verdict="denied"), lobby_stream(row.id))
    elif body.state is ParticipantState.WAITING:
        if body.was in SEATED:
            step.resync(row.id, withdraw=True)
        else:  # the answer to the entry says where they stand
            place = step.state.place(row)
            step.live.told[row.id] = waiting_view(step.state, row, place, step.stamp)


def _roster_mode(step: Step) -> None:
    """When participants are shown another sort of roster, everybody starts from a snapshot."""
    live = step.live
    mode = step.state.policy.roster
    if mode != live.roster_mode:
        live.roster_mode = mode
        live.announce(step.state)
        for row in step.state.participants.values():
            if row.state in SEATED:
                step.resync(row.id)


def _queue(step: Step, touched: dict[ParticipantId, None]) -> None:
    """Tell hosts how the queue changed."""
    queue = step.live.queue
    add: list[Waiter] = []
    gone: list[ParticipantId] = []
    for id_ in touched:
        row = step.state.participants[id_]
        before = queue.get(id_)
        if row.listed:
            entry = row.waiter()
            if entry != before:
                queue[id_] = entry
                add.append(entry)
        elif before is not None:
            del queue[id_]
            gone.append(id_)
    if add or gone:
        step.show(LobbyList(ver=step.state.lobby_ver, add=add, del_=gone), HOSTS)


def _settle_places(step: Step) -> None:
    """Tell places at once after a quiet second, else when it is over."""
    live = step.live
    if live.places_due and any(row.waiting for row in step.state.participants.values()):
        due = live.places_at + PLACES_S
        if step.now >= due:
            places(step)
        else:
            live.deadlines.set(Timer.PLACES, due)


def _drop_speakers(step: Step) -> None:
    live = step.live
    left = [id_ for id_ in live.speakers if step.state.participants[id_].present]
    if left != live.speakers:
        live.speakers = left
        step.show(SpeakersChanged(list=left), EPHEMERAL)
