"""The roster as screens are told it: one shared delta, at most once a second.

Changes are collected by participant and told as the difference to what was told before, encoded
once for everybody. A track that goes on or off may come 100 ms after the last delta, no sooner,
so that a storm stays a few frames. In a room that shows participants a count, the ``room`` stream
carries hosts, presenters and everybody who ever published; all others go to ``hosts`` only.
"""

from typing import Any, Final

from .events import ParticipantView, RosterCount, RosterDelta
from .ids import HOSTS, ROOM, ParticipantId
from .step import Step
from .timers import ROSTER_S, ROSTER_URGENT_S, Timer

_FIELDS: Final = tuple(f for f in ParticipantView.__struct_fields__ if f not in {"id", "rev"})


def settle(step: Step) -> None:
    """Tell what is pending, now or when it is due."""
    live = step.live
    if not live.roster_pending:
        return
    due = live.roster_at + (ROSTER_URGENT_S if live.roster_urgent else ROSTER_S)
    if step.now >= due:
        flush(step)
    else:
        live.deadlines.set(Timer.ROSTER, due)


def flush(step: Step, _key: str = "") -> None:
    """Timer ``roster``: tell everything that is pending."""
    live = step.live
    live.deadlines.clear(Timer.ROSTER)
    rev = step.state.seq
    room = RosterDelta(rev=rev, add=[], upd=[], del_=[])
    hosts = RosterDelta(rev=rev, add=[], upd=[], del_=[])
    for id_ in live.roster_pending:
        _tell(step, id_, room, hosts)
    live.roster_pending.clear()
    live.roster_urgent = False
    live.roster_at = step.now
    for delta, stream in ((room, ROOM), (hosts, HOSTS)):
        if delta.add or delta.upd or delta.del_:
            step.show(delta, stream)
    count = step.state.count()
    if count != live.count:
        live.count = count
        if step.state.policy.roster == "count":
            step.show(RosterCount(count=count), ROOM)


def _tell(step: Step, id_: ParticipantId, room: RosterDelta, hosts: RosterDelta) -> None:
    live = step.live
    row = step.state.participants[id_]
    before = live.announced.get(id_)
    if not row.present:
        if before is not None:
            (room if id_ in live.shown else hosts).del_.append(id_)
            del live.announced[id_]
            live.shown.discard(id_)
        return
    view = live.announced[id_] = row.view()
    if step.state.shows(row) and id_ not in live.shown:
        live.shown.add(id_)
        room.add.append(view)
    elif before is None:
        hosts.add.append(view)
    else:
        change = _difference(before, view)
        if change:
            (room if id_ in live.shown else hosts).upd.append(change)


def _difference(before: ParticipantView, after: ParticipantView) -> dict[str, Any]:
    """The changed fields with ``id`` and ``rev``; empty when nothing that shows has changed."""
    change = {
        field: value
        for field in _FIELDS
        if (value := getattr(after, field)) != getattr(before, field)
    }
    return {"id": after.id, "rev": after.rev, **change} if change else {}
