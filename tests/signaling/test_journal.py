"""The journal over the real database: ownership, durable facts, and the errors of both."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from crm_core.appointments.service import book
from crm_core.meetings.service import MeetingService
from crm_core.people.models import Person
from rooms.commands import Enter
from rooms.ids import Identity
from rooms.policy import IdentityKind, Role, preset
from rooms.room import Room
from signaling import journal as journal_module
from signaling.clock import TextIds, stamp
from signaling.journal import (
    CrmJournal,
    FencedError,
    Guard,
    JournalDownError,
    RoomUnknownError,
    open_leases,
)
from signaling.roomconfig import config_of
from tests.support.databases import LINKS


@pytest_asyncio.fixture
async def meeting(database, tenant):
    """A booked room: its tenant, its id and the service."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        person = Person(id=unit.ids(), first_name="Jane", last_name="Doe")
        await unit.add(person)
        booked = await book(
            unit,
            {
                "title": "Roof review", "staff_id": tenant.staff.id, "person_id": person.id,
                "starts_at": datetime.now(UTC), "location_kind": "video",
                "ends_at": datetime.now(UTC) + timedelta(hours=1),
            },
            LINKS,
        )  # fmt: skip
    return tenant.tenant.id, booked.appointment.video_room_id, MeetingService(database)


def journal_of(meeting, node="node-a"):
    tenant_id, room_id, service = meeting
    return CrmJournal(service, open_leases(service), tenant_id, room_id, node)


def facts_of(room, command, now):
    outcome = room.handle(command, now)
    return [event for event in outcome.events if event.durability == "committed"]


def host():
    return Enter(Identity(f"guest:{uuid.uuid4()}"), IdentityKind.GUEST, "Ana", role=Role.HOST)


async def test_what_was_appended_is_there_for_the_next_owner(meeting):
    """Facts come back equal and in order; a room restored from them equals the one that wrote."""
    first = journal_of(meeting)
    opened = await first.open()
    assert opened.facts == []
    room = Room(config_of(opened.record, opened.session_no), TextIds(), stamp)
    now = opened.record.starts_at.timestamp()
    facts = facts_of(room, host(), now)
    await first.append(opened.epoch, opened.session_no, 1, facts)
    again = await journal_of(meeting).open()
    assert again.epoch == opened.epoch + 1
    assert again.facts == facts
    restored = Room.restore(config_of(again.record, 1), again.facts, TextIds(), stamp)
    assert restored.state == room.state


@pytest.mark.parametrize("page", [1, 2, 3, 100])
async def test_facts_are_read_by_the_page(meeting, monkeypatch, page):
    """Each page in its own time, none lost or read twice where one ends."""
    first = journal_of(meeting)
    opened = await first.open()
    room = Room(config_of(opened.record, opened.session_no), TextIds(), stamp)
    facts = facts_of(room, host(), opened.record.starts_at.timestamp())
    await first.append(opened.epoch, opened.session_no, 1, facts)
    assert len(facts) >= 3
    monkeypatch.setattr(journal_module, "PAGE", page)
    assert (await journal_of(meeting).open()).facts == facts


async def test_a_long_sitting_is_read_in_turns_with_other_rooms(monkeypatch):
    """Facts become of rows some at a time; whoever else is due gets a turn between."""
    monkeypatch.setattr(journal_module, "AT_ONCE", 3)
    room = Room(preset("consultation", id="r", code="c", title="T"), TextIds(), stamp)
    facts = [fact for n in range(5) for fact in facts_of(room, host(), float(n))]
    turns = []
    reading = asyncio.create_task(journal_module._facts(journal_module.records(facts, 1, 1)))
    while not reading.done():
        turns.append(None)
        await asyncio.sleep(0)
    assert await reading == facts
    assert len(turns) > len(facts) // 3


async def test_the_last_owner_is_fenced(meeting):
    """After a takeover the old epoch writes nothing and keeps no lease."""
    old = journal_of(meeting)
    opened = await old.open()
    await journal_of(meeting).open()
    room = Room(config_of(opened.record, 1), TextIds(), stamp)
    facts = facts_of(room, host(), opened.record.starts_at.timestamp())
    for call in (old.append(opened.epoch, 1, 1, facts), old.renew(opened.epoch)):
        with pytest.raises(FencedError):
            await call


async def test_another_nodes_lease_holds(meeting):
    """A second node cannot open the room until the first lets it go."""
    first = journal_of(meeting)
    opened = await first.open()
    with pytest.raises(FencedError):
        await journal_of(meeting, "node-b").open()
    await first.renew(opened.epoch)
    await first.release(opened.epoch)
    assert (await journal_of(meeting, "node-b").open()).epoch == opened.epoch + 1


@pytest.mark.parametrize("sign", ["open", "renew", "release"])
async def test_the_next_owner_hears_when_the_last_one_lived(meeting, sign):
    """Killed: its last renewal (or the opening). Stopped in good order: the moment of the release."""
    first = journal_of(meeting)
    earliest = datetime.now(UTC).timestamp()
    opened = await first.open()
    assert opened.last_alive is None
    if sign != "open":
        earliest = datetime.now(UTC).timestamp()
        await getattr(first, sign)(opened.epoch)
    latest = datetime.now(UTC).timestamp()
    again = await journal_of(meeting).open()
    assert earliest <= again.last_alive <= latest


async def test_a_room_that_could_not_be_read_gives_no_sign_of_life(meeting, monkeypatch):
    """People were in until the last owner was alive, not until somebody tried in vain."""
    first = journal_of(meeting)
    opened = await first.open()
    latest = datetime.now(UTC).timestamp()
    service = meeting[2]
    read = service.room_events_since

    async def broken(*_args):
        raise ConnectionRefusedError

    monkeypatch.setattr(service, "room_events_since", broken)
    with pytest.raises(JournalDownError):
        await journal_of(meeting).open()
    monkeypatch.setattr(service, "room_events_since", read)
    again = await journal_of(meeting).open()
    assert again.last_alive <= latest
    assert again.epoch == opened.epoch + 2


async def test_a_room_that_was_taken_while_it_was_read_is_not_opened(meeting, monkeypatch):
    """As after a stand-still in the middle of a long sitting's facts."""
    service = meeting[2]
    read = service.room_events_since

    async def taken_meanwhile(*where):
        monkeypatch.setattr(service, "room_events_since", read)
        await journal_of(meeting).open()
        return await read(*where)

    monkeypatch.setattr(service, "room_events_since", taken_meanwhile)
    with pytest.raises(FencedError, match="took the room"):
        await journal_of(meeting).open()


async def test_a_repeated_batch_is_written_once(meeting):
    """When the answer to COMMIT was lost, appending again does no harm."""
    one = journal_of(meeting)
    opened = await one.open()
    room = Room(config_of(opened.record, 1), TextIds(), stamp)
    facts = facts_of(room, host(), opened.record.starts_at.timestamp())
    await one.append(opened.epoch, 1, 1, facts)
    await one.append(opened.epoch, 1, 1, facts)
    assert (await one.open()).facts == facts


async def test_a_gap_in_the_numbers_means_opening_anew(meeting):
    """Numbers that do not follow are refused, and nothing is written."""
    one = journal_of(meeting)
    opened = await one.open()
    room = Room(config_of(opened.record, 1), TextIds(), stamp)
    facts = facts_of(room, host(), opened.record.starts_at.timestamp())
    with pytest.raises(JournalDownError):
        await one.append(opened.epoch, 1, 5, facts)
    assert (await one.open()).facts == []


async def test_an_unknown_room_is_told(meeting):
    """No such room, or another tenant's: the same error."""
    tenant_id, room_id, service = meeting
    for wrong in ((tenant_id, uuid.uuid4()), (uuid.uuid4(), room_id)):
        with pytest.raises(RoomUnknownError):
            await journal_of((*wrong, service)).open()


async def test_a_database_that_does_not_answer_is_told_in_time(meeting, monkeypatch):
    """A hanging commit is a typed error after the limit."""
    monkeypatch.setattr(journal_module, "COMMIT_TIMEOUT", 0.0)
    one = journal_of(meeting)
    opened = await one.open()
    with pytest.raises(JournalDownError, match="in time"):
        await one.renew(opened.epoch)


async def test_rooms_of_a_node_renew_together(meeting, database, tenant, monkeypatch):
    """One transaction for the journals that share leases; one that was fenced is told, the other not."""
    tenant_id, room_id, service = meeting
    async with database.unit_of_work(tenant_id) as unit:
        values = {
            "staff_id": tenant.staff.id,
            "starts_at": datetime.now(UTC) + timedelta(hours=2),
            "location_kind": "video",
        }
        other_id = (await book(unit, values, LINKS)).appointment.video_room_id
    leases = open_leases(service)
    here, lost = (CrmJournal(service, leases, tenant_id, each, "a") for each in (room_id, other_id))
    epochs = [(await each.open()).epoch for each in (here, lost)]
    await journal_of((tenant_id, other_id, service), "a").open()
    transactions, renew_rooms = [], service.renew_rooms

    async def counted(*arguments):
        transactions.append(arguments)
        return await renew_rooms(*arguments)

    monkeypatch.setattr(leases, "_renew_rooms", counted)
    plan, fenced = await asyncio.gather(
        here.renew(epochs[0]), lost.renew(epochs[1]), return_exceptions=True
    )
    assert plan.status == "scheduled"
    assert isinstance(fenced, FencedError)
    assert [dict(epochs) for _, epochs, _ in transactions] == [
        {room_id: epochs[0], other_id: epochs[1]}
    ]


async def test_a_database_that_broke_off_is_down_for_all_who_renewed(meeting, monkeypatch):
    """Of a shared transaction, too: what the driver raised does not get further than this."""
    leases = open_leases(meeting[2])
    tenant_id, room_id, service = meeting
    one = CrmJournal(service, leases, tenant_id, room_id, "node-a")
    other = CrmJournal(service, leases, tenant_id, uuid.uuid4(), "node-a")

    async def broken(*_arguments):
        raise ConnectionRefusedError

    monkeypatch.setattr(leases, "_renew_rooms", broken)
    found = await asyncio.gather(one.renew(1), other.renew(1), return_exceptions=True)
    assert [type(each) for each in found] == [JournalDownError] * 2


async def test_a_room_that_is_given_back_is_free_though_a_renewal_was_under_way(
    meeting, monkeypatch
):
    """The keeper is cancelled first; the transaction that it shares goes on."""
    tenant_id, room_id, service = meeting
    leases = open_leases(service)
    ours = CrmJournal(service, leases, tenant_id, room_id, "node-a")
    opened = await ours.open()
    gate, begun, renew = asyncio.Event(), asyncio.Event(), service.renew_rooms

    async def slowly(*how):
        begun.set()
        await gate.wait()
        return await renew(*how)

    monkeypatch.setattr(leases, "_renew_rooms", slowly)
    keeper = asyncio.create_task(ours.renew(opened.epoch))
    await begun.wait()
    keeper.cancel()
    released = asyncio.create_task(ours.release(opened.epoch))
    await asyncio.sleep(0)
    gate.set()
    await released
    assert (await journal_of(meeting, "node-b").open()).epoch > opened.epoch


async def test_what_forgets_that_its_time_is_over_is_told_again(monkeypatch):
    """PostgreSQL's driver does, in the middle of a large batch; who waits hears that it was late."""
    monkeypatch.setattr(journal_module, "INSIST_EVERY", 0.02)
    forgotten = 0
    with pytest.raises(JournalDownError):
        async with Guard(0.02):
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    forgotten += 1
                    if forgotten > 2:
                        raise
    assert forgotten == 3
    assert asyncio.current_task().cancelling() == 0
    async with Guard(60):
        await asyncio.sleep(0.05)  # and is left alone afterwards


async def test_who_is_told_to_stop_by_others_stops():
    """What is not the guard's own is passed on."""
    begun = asyncio.Event()

    async def work():
        async with Guard(60):
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
