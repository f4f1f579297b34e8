"""What all who came by one link may change, and what nobody is kept from."""

import itertools

import pytest

from rooms.policy import Role
from signaling import crowds
from signaling.errors import RequestError
from signaling.limits import CROWD_RETRY
from tests.signaling.visits import ask, enter

NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def little(stage, monkeypatch):
    """Of a room's links each has two changes, and everybody one of their own in ten seconds."""
    monkeypatch.setattr(crowds, "CROWD_FACT_BURST", 2.0)
    monkeypatch.setattr(crowds, "OWN_FACT_BURST", 1.0)
    stage.actor._crowds = crowds.Crowds()


async def change(stage, client, method="chat.send", **params):
    """Something new; its answer."""
    params = params or {"body": "Hello!"}
    return await ask(stage, client, method, str(next(NUMBERS)), **params)


async def refused(stage, client, *request, **params):
    with pytest.raises(RequestError) as error:
        await change(stage, client, *request, **params)
    assert error.value.code == "rate"
    return error.value.extras["retry_ms"]


async def spent(stage, link="one", **how):
    """Somebody who has used up what all of the link have, and their own."""
    crowd = await enter(stage, "Crowd", link=link, **how)
    with pytest.raises(RequestError):
        for _ in range(4):
            await change(stage, crowd)
    return crowd


async def test_all_of_one_link_change_only_so_much(stage):
    """Then everybody has one of their own; others by other links are not concerned."""
    ana = await enter(stage, "Ana", Role.HOST)
    jane = await enter(stage, "Jane", link="one")
    lee = await enter(stage, "Lee", link="another")
    crowd = await spent(stage)
    assert await refused(stage, crowd) == CROWD_RETRY * 1000, "not all at once, a moment later"
    await change(stage, jane)
    await refused(stage, jane)
    for other in (ana, lee):
        for _ in range(3):
            await change(stage, other)
    stage.clock.time += 1
    await change(stage, crowd)


async def test_nobody_is_kept_from_less(stage):
    """To turn off, to lower the hand, to leave, nor from what is not kept; the answered is answered again."""
    await enter(stage, "Ana", Role.HOST)
    jane = await enter(stage, "Jane", link="one")
    said = await ask(stage, jane, "chat.send", "said", body="Hello!")
    await change(stage, jane, "track.set", source="mic", on=True)
    await spent(stage)
    await refused(stage, jane, "hand.set", up=True)
    for _ in range(2):
        answer = await ask(stage, jane, "track.set", "off", source="mic", on=False)
        assert answer["ok"]
    await change(stage, jane, "hand.set", up=False)
    await change(stage, jane, "react", emoji="+1")
    await ask(stage, jane, "chat.page", "page")
    assert (await ask(stage, jane, "chat.send", "said", body="Hello!"))["p"] == said["p"]
    await ask(stage, jane, "leave", "leave")


async def test_what_changes_nothing_is_not_counted(stage):
    """A reaction is not kept."""
    await enter(stage, "Ana", Role.HOST)
    jane = await enter(stage, "Jane", link="one")
    for _ in range(4):
        await change(stage, jane, "react", emoji="+1")
    await spent(stage)


async def test_who_waits_and_who_moderates_are_counted_apart(stage):
    """Hundreds at the door keep nobody inside from talking, and nobody keeps a co-host from muting."""
    ana = await enter(stage, "Ana", Role.HOST)
    kim = await enter(stage, "Kim", link="one")
    await change(stage, ana, "role.set", who=kim.participant, role="cohost")
    stranger = await enter(stage, "Stranger", lobby=True, link="one")
    for number in range(3):
        await change(stage, stranger, "name.set", name=f"Stranger {number}")
    await refused(stage, stranger, "name.set", name="Another")
    await spent(stage)
    for _ in range(2):
        await change(stage, kim)
