"""The room journal: one writer by epoch, contiguous numbers, replays recognised."""

import asyncio

import pytest
import sqlalchemy as sa

from crm_core.errors import Fenced, NotFound, OutOfSequence, RoomOwned
from crm_core.meetings.journal_models import RoomEvent
from crm_core.meetings.models import VideoRoomParticipant
from crm_core.meetings.service import JournalRecord
from tests.crm_core.meetings.support import START, book_meeting


async def test_taking_a_room_is_no_sign_of_life(database, tenant):
    """Whoever took it and could not read it then was alive for nobody: people were in until before."""
    meeting = await book_meeting(database, tenant)
    where = (meeting.tenant_id, meeting.room_id)
    first = await meeting.service.claim_room(*where, "node-1", 60)
    assert first.last_alive is None
    assert await meeting.renew(first.epoch)
    claims = [await meeting.service.claim_room(*where, "node-1", 60) for _ in range(3)]
    assert claims[0].last_alive is not None
    assert len({claim.last_alive for claim in claims}) == 1


async def test_a_claim_raises_the_epoch(database, tenant):
    """The same node takes its room again under a higher epoch, with the journal where it was."""
    meeting = await book_meeting(database, tenant)
    first = await meeting.service.claim_room(meeting.tenant_id, meeting.room_id, "node-1", 60)
    meeting.event("room.state", state="lobby_open")
    await meeting.commit(first.epoch)
    second = await meeting.service.claim_room(meeting.tenant_id, meeting.room_id, "node-1", 60)
    assert (first.epoch, first.session_no, first.last_seq) == (1, 1, 0)
    assert (second.epoch, second.session_no, second.last_seq) == (2, 1, 1)


async def test_a_living_lease_keeps_others_out(database, tenant):
    """Another node gets the room when the lease is over or given back, not before."""
    meeting = await book_meeting(database, tenant)
    service, where = meeting.service, (meeting.tenant_id, meeting.room_id)
    claim = await service.claim_room(*where, "node-1", lease_seconds=60)
    with pytest.raises(RoomOwned) as owned:
        await service.claim_room(*where, "node-2", 60)
    assert owned.value.node == "node-1"
    await service.release_room(*where, claim.epoch)
    taken = await service.claim_room(*where, "node-2", 60)
    assert taken.epoch == claim.epoch + 1
    assert not await meeting.renew(claim.epoch)
    await service.release_room(*where, claim.epoch)  # late, by who lost it: it ends nobody's lease
    with pytest.raises(RoomOwned):
        await service.claim_room(*where, "node-1", 60)
    assert await meeting.renew(taken.epoch, seconds=0)
    assert (await service.claim_room(*where, "node-1", 60)).epoch == taken.epoch + 1


async def test_only_one_of_many_claims_wins(database, tenant):
    """Of ten nodes that claim a free room at once one gets it."""
    meeting = await book_meeting(database, tenant)
    claims = await asyncio.gather(
        *(
            meeting.service.claim_room(meeting.tenant_id, meeting.room_id, f"node-{n}", 60)
            for n in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(claim, Exception) for claim in claims) == 1
    assert all(isinstance(claim, RoomOwned) for claim in claims if isinstance(claim, Exception))


async def test_a_fenced_writer_writes_nothing(database, tenant):
    """After a takeover the old epoch is refused and none of its batch is there."""
    meeting = await book_meeting(database, tenant)
    old = await meeting.claim()
    await meeting.claim()
    meeting.enter("guest:1")
    with pytest.raises(Fenced):
        await meeting.commit(old)
    async with database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        for model in (RoomEvent, VideoRoomParticipant):
            assert await unit.session.scalar(sa.select(sa.func.count()).select_from(model)) == 0


async def test_gaps_and_repeats_are_refused(database, tenant):
    """A batch that skips a number, or says something else under a committed one, is a bug: loud."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.event("room.state", state="lobby_open")
    await meeting.commit(epoch)
    meeting.seq = 5
    meeting.event("room.state", state="live")
    with pytest.raises(OutOfSequence):
        await meeting.commit(epoch)
    meeting.seq = 0
    meeting.event("room.state", state="live")
    with pytest.raises(OutOfSequence):
        await meeting.commit(epoch)
    meeting.seq = 1
    meeting.event("host.presence", state="present")
    meeting.seq = 3
    meeting.event("host.presence", state="present")
    with pytest.raises(OutOfSequence, match="contiguous"):
        await meeting.commit(epoch)


async def test_a_batch_committed_before_is_recognised(database, tenant):
    """When the answer to COMMIT was lost, sending the batch again changes nothing."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.enter("guest:1")
    batch = await meeting.commit(epoch)
    await meeting.service.append(meeting.tenant_id, meeting.room_id, epoch, batch)
    stored = await meeting.service.room_events_since(meeting.tenant_id, meeting.room_id, 1, 0)
    assert stored == batch


async def test_events_come_back_in_order_from_where_they_were_asked(database, tenant):
    """`room_events_since` answers what is behind the given number, bodies and times intact."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    for number in range(12):
        meeting.event("request.done", number, identity="x", id=str(number), digest=1, reply={})
    batch = await meeting.commit(epoch)
    tail = await meeting.service.room_events_since(meeting.tenant_id, meeting.room_id, 1, 7)
    assert tail == batch[7:]


async def test_another_tenants_room_does_not_exist(database, tenant, other_tenant):
    """Claim, load and append with a foreign tenant answer not found."""
    meeting = await book_meeting(database, tenant)
    service, foreign = meeting.service, other_tenant.tenant.id
    with pytest.raises(NotFound):
        await service.load_room(foreign, meeting.room_id)
    with pytest.raises(NotFound):
        await service.claim_room(foreign, meeting.room_id, "node-1", 60)
    epoch = await meeting.claim()
    meeting.event("room.state", state="live")
    with pytest.raises(NotFound):
        await service.append(foreign, meeting.room_id, epoch, meeting.batch)
    assert await service.room_events_since(foreign, meeting.room_id, 1, 0) == []


async def test_a_takeover_storm_never_interleaves_epochs(database, tenant):
    """Writers that race with takeovers leave a journal whose epochs only rise, without gaps."""
    meeting = await book_meeting(database, tenant)
    service, where = meeting.service, (meeting.tenant_id, meeting.room_id)

    async def writer(number):
        for _ in range(6):
            try:
                claim = await service.claim_room(*where, f"node-{number}", lease_seconds=0)
                meeting_events = await service.room_events_since(*where, 1, claim.last_seq)
                assert meeting_events == []
                for step in range(3):
                    record = _record(claim.last_seq + 1 + step, number)
                    await service.append(*where, claim.epoch, [record])
            except (Fenced, RoomOwned, AssertionError):
                continue

    await asyncio.gather(*(writer(number) for number in range(5)))
    async with database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        rows = (
            await unit.session.execute(
                sa.select(RoomEvent.seq, RoomEvent.epoch).order_by(RoomEvent.seq)
            )
        ).all()
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)
    assert rows


def _record(seq, number):
    return JournalRecord(seq, "request.done", "journal", {"p": {"n": number}, "by": None}, START, 1)
