"""Chat: order, privacy, bounds; cases are numbered over all these files."""

import pytest

from rooms import commands as c
from rooms.errors import Code, RoomError
from rooms.limits import CHAT_BYTES, CHAT_KEPT
from rooms.policy import FeaturesPatch, PolicyPatch, Role
from rooms.states import ChatMessageState
from tests.rooms.meeting import Guest, Meeting


@pytest.fixture
def meeting() -> Meeting:
    """Room for everybody."""
    return Meeting(capacity=20)


@pytest.fixture
def host(meeting: Meeting) -> Guest:
    """Ana, who is in."""
    return meeting.host()


@pytest.fixture
def jane(meeting: Meeting, host: Guest) -> Guest:
    """A participant who is in."""
    return meeting.member("Jane")


def test_everybody_gets_public_messages_in_one_order(meeting, host, jane):
    """Numbers rise strictly; sender and readers get the same message once."""
    numbers = [host.ask(c.ChatSend("one"))["message"]["no"]]
    numbers.append(jane.ask(c.ChatSend("two"))["message"]["no"])
    assert numbers == [1, 2]
    for guest in (host, jane):
        assert [(b.no, b.body, b.name) for b in guest.got("chat.msg")] == [
            (1, "one", "Ana"),
            (2, "two", "Jane"),
        ]


def test_a_private_message_reaches_its_two_ends_only(meeting, host, jane):
    """Nobody else gets it, finds it in a snapshot, or pages to it."""
    paul = meeting.member("Paul")
    jane.ask(c.ChatSend("between us", to=paul.id))
    assert [len(g.got("chat.msg")) for g in (jane, paul, host)] == [1, 1, 0]
    assert host.ask(c.ChatPage())["messages"] == []
    assert [m["body"] for m in paul.ask(c.ChatPage())["messages"]] == ["between us"]
    assert meeting.host("Ben").snapshots[-1].chat == []
    assert len(meeting.bodies("chat.msg")) == 1, "stored once"


def test_private_to_somebody_reconnecting_is_stored_and_to_somebody_gone_is_refused(
    meeting, host, jane
):
    """Case 68: a lost recipient finds it on return; one who left: recipient_gone, not stored."""
    jane.drop()
    meeting.wait(20)
    host.ask(c.ChatSend("are you there?", to=jane.id))
    jane.resume()
    assert [m.body for m in jane.snapshots[-1].chat] == ["are you there?"]
    jane.ask(c.Leave())
    assert host.refused(c.ChatSend("bye", to=jane.id)).code is Code.RECIPIENT_GONE
    assert len(meeting.bodies("chat.msg")) == 1


def test_a_promotion_widens_no_old_private_message(meeting, host, jane):
    """Case 69: becoming a co-host shows nothing of what others wrote in private."""
    paul = meeting.member("Paul")
    jane.ask(c.ChatSend("secret", to=host.id))
    host.ask(c.RoleSet(paul.id, Role.COHOST))
    assert paul.snapshots[-1].chat == []
    assert paul.ask(c.ChatPage())["messages"] == []


def test_chat_switched_off_refuses_a_message_in_flight(meeting, host, jane):
    """Case 70: rights are read at execution: what comes after the switch is refused."""
    host.ask(c.RoomPolicy(PolicyPatch(chat="hosts")))
    refusal = jane.refused(c.ChatSend("but"))
    assert (refusal.code, refusal.extras) == (Code.FORBIDDEN, {"need": "chat"})
    host.ask(c.ChatSend("listen"))
    host.ask(c.RoomPolicy(PolicyPatch(features=FeaturesPatch(chat=False))))
    assert host.refused(c.ChatSend("all quiet")).code is Code.FORBIDDEN


def test_private_messages_may_be_limited_to_hosts(meeting, host, jane):
    """With private=hosts participants write to hosts and co-hosts; hosts write to anybody."""
    paul = meeting.member("Paul")
    host.ask(c.RoomPolicy(PolicyPatch(private="hosts")))
    assert jane.refused(c.ChatSend("psst", to=paul.id)).code is Code.FORBIDDEN
    jane.ask(c.ChatSend("question", to=host.id))
    host.ask(c.ChatSend("answer", to=jane.id))
    host.ask(c.RoomPolicy(PolicyPatch(features=FeaturesPatch(private=False))))
    assert host.refused(c.ChatSend("x", to=jane.id)).extras == {"need": "chat_private"}


def test_a_message_to_nobody_or_oneself_is_refused(meeting, host):
    """An unknown recipient is not_found, oneself a bad request, a waiting person gone."""
    waiting = meeting.guest("Paul")
    waiting.come()
    assert host.refused(c.ChatSend("x", to="nobody")).code is Code.NOT_FOUND
    assert host.refused(c.ChatSend("x", to=host.id)).code is Code.BAD_REQUEST
    assert host.refused(c.ChatSend("x", to=waiting.id)).code is Code.RECIPIENT_GONE


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("x" * 5001, Code.TOO_LARGE),
        (" \n\t", Code.BAD_REQUEST),
        ("", Code.BAD_REQUEST),
        ("a\x00b", Code.BAD_REQUEST),
        ("a\x1bb", Code.BAD_REQUEST),
        ("a\x85b", Code.BAD_REQUEST),
        ("a\ud800b", Code.BAD_REQUEST),
    ],
)
def test_a_body_that_is_no_text_is_refused(host, body, code):
    """Case 73: 5,001 characters, blanks and control characters are refused, and cost no token."""
    for _ in range(12):
        assert host.refused(c.ChatSend(body)).code is code


@pytest.mark.parametrize("body", ["x" * 5000, "<b>bold</b>", "two\n\tlines", "👍🏽", "\u200bzero"])
def test_text_is_stored_as_it_came(meeting, host, body):
    """Markup, newlines and any script are text; 5,000 characters fit."""
    host.ask(c.ChatSend(body))
    assert host.got("chat.msg")[0].body == body
    meeting.check()


def test_a_burst_is_limited_with_a_retry_time(meeting, host):
    """Case 73: of 20 messages at once 10 pass; the rest are told when to retry, none is lost."""
    results = []
    for number in range(20):
        try:
            results.append(host.ask(c.ChatSend(f"m{number}"))["message"]["no"])
        except RoomError as refusal:
            assert refusal.code is Code.RATE
            meeting.wait(0)
    assert results == list(range(1, 11))
    meeting.wait(host.refused(c.ChatSend("x")).extras["retry_ms"] / 1000)
    host.ask(c.ChatSend("later"))


def test_history_since_join_cannot_be_paged_around(meeting, host, jane):
    """Case 74: nothing older than the join, whatever the cursor; a rejoin keeps the first floor."""
    host.ask(c.RoomPolicy(PolicyPatch(history="since_join")))
    host.ask(c.ChatSend("before"))
    paul = meeting.member("Paul")
    host.ask(c.ChatSend("after"))
    paul.ask(c.Leave())
    host.ask(c.ChatSend("while away"))
    paul.come()
    for before in (None, 3, 10**9):
        bodies = [m["body"] for m in paul.ask(c.ChatPage(before=before))["messages"]]
        assert "before" not in bodies
    assert [m.body for m in paul.snapshots[-1].chat] == ["after", "while away"]
    assert paul.ask(c.ChatPage(before=1)) == {"messages": [], "more": False}


def test_history_since_join_begins_with_the_admission(meeting, host):
    """Also in the snapshot that comes with it, before the client's first sign of life."""
    host.ask(c.RoomPolicy(PolicyPatch(history="since_join")))
    host.ask(c.ChatSend("before"))
    paul = meeting.guest("Paul")
    paul.come()
    host.ask(c.LobbyAdmit(ids=[paul.id]))
    assert (paul.state, paul.snapshots[-1].chat) == ("joining", [])
    host.ask(c.ChatSend("heard at once"))
    paul.arrive()
    assert [m["body"] for m in paul.ask(c.ChatPage())["messages"]] == ["heard at once"]


def test_pages_are_the_newest_below_the_cursor(meeting, host):
    """Pages come oldest first, say whether there is more, and meet without gap or overlap."""
    for number in range(25):
        host.ask(c.ChatSend(f"m{number}"))
        meeting.wait(1)
    last = host.ask(c.ChatPage(n=10))
    middle = host.ask(c.ChatPage(before=last["messages"][0]["no"], n=10))
    first = host.ask(c.ChatPage(before=middle["messages"][0]["no"], n=10))
    assert [p["more"] for p in (last, middle, first)] == [True, True, False]
    numbers = [m["no"] for p in (first, middle, last) for m in p["messages"]]
    assert numbers == list(range(1, 26))


def test_an_edited_message_is_paged_once_with_its_newest_body(meeting, host, jane):
    """Case 71: edited while a late joiner pages: the newest version, once."""
    id_ = host.ask(c.ChatSend("helo"))["message"]["id"]
    host.ask(c.ChatSend("next"))
    host.ask(c.ChatEdit(id_, "hello"))
    assert [b.body for b in jane.got("chat.edited")] == ["hello"]
    late = meeting.member("Paul")
    assert [(m.body, m.state) for m in late.snapshots[-1].chat] == [
        ("hello", ChatMessageState.EDITED),
        ("next", ChatMessageState.STORED),
    ]
    host.ask(c.ChatEdit(id_, "hello!"))
    meeting.check()


def test_only_the_author_edits_and_only_for_a_quarter_of_an_hour(meeting, host, jane):
    """Others are forbidden, later is closed."""
    id_ = jane.ask(c.ChatSend("hi"))["message"]["id"]
    assert host.refused(c.ChatEdit(id_, "ho")).code is Code.FORBIDDEN
    meeting.wait(901)
    assert jane.refused(c.ChatEdit(id_, "ho")).code is Code.CLOSED


def test_who_may_no_longer_write_edits_nothing_either(meeting, host, jane):
    """An edit is a way to write: it needs the right of its message, public or private, at the time."""
    public = jane.ask(c.ChatSend("hi"))["message"]["id"]
    private = jane.ask(c.ChatSend("psst", to=host.id))["message"]["id"]
    host.ask(c.RoomPolicy(PolicyPatch(chat="hosts")))
    refusal = jane.refused(c.ChatEdit(public, "spam"))
    assert (refusal.code, refusal.extras) == (Code.FORBIDDEN, {"need": "chat"})
    jane.ask(c.ChatEdit(private, "psst!"))
    host.ask(c.RoomPolicy(PolicyPatch(features=FeaturesPatch(private=False))))
    refusal = jane.refused(c.ChatEdit(private, "spam"))
    assert (refusal.code, refusal.extras) == (Code.FORBIDDEN, {"need": "chat_private"})
    assert [b.body for b in host.got("chat.edited")] == ["psst!"]
    meeting.check()


def test_a_deleted_message_keeps_id_and_number_and_loses_its_body(meeting, host, jane):
    """A tombstone: no body in pages, no edit, no second deletion; hosts may delete public ones."""
    mine = jane.ask(c.ChatSend("oops"))["message"]["id"]
    other = host.ask(c.ChatSend("stays"))["message"]["id"]
    assert jane.refused(c.ChatDelete(other)).extras == {"need": "delete_messages"}
    host.ask(c.ChatDelete(mine))
    host.ask(c.ChatDelete(other))
    assert [b.no for b in jane.got("chat.deleted")] == [1, 2]
    page = jane.ask(c.ChatPage())["messages"]
    assert [(m["no"], m["body"], m["state"]) for m in page] == [
        (1, "", "deleted"),
        (2, "", "deleted"),
    ]
    assert jane.refused(c.ChatEdit(mine, "back")).code is Code.NOT_FOUND
    assert host.refused(c.ChatDelete(mine)).code is Code.NOT_FOUND
    assert host.refused(c.ChatDelete("nothing")).code is Code.NOT_FOUND
    meeting.check()


def test_private_messages_are_edited_between_their_ends_and_unknown_to_others(meeting, host, jane):
    """An edit or deletion of a private message goes to both ends, and to nobody else."""
    paul = meeting.member("Paul")
    id_ = jane.ask(c.ChatSend("psst", to=paul.id))["message"]["id"]
    assert host.refused(c.ChatDelete(id_)).code is Code.NOT_FOUND
    jane.ask(c.ChatEdit(id_, "psst!"))
    jane.ask(c.ChatDelete(id_))
    assert [len(g.got("chat.edited")) for g in (jane, paul, host)] == [1, 1, 0]
    assert [len(g.got("chat.deleted")) for g in (jane, paul, host)] == [1, 1, 0]


def test_memory_keeps_the_newest_thousand(meeting, host):
    """Older messages leave memory (the tables have them); numbers go on."""
    for _ in range(CHAT_KEPT + 3):
        host.ask(c.ChatSend("x"))
        meeting.wait(1)
    assert len(meeting.room.state.chat) == CHAT_KEPT
    assert meeting.room.state.chat[0].message.no == 4
    meeting.check()


def test_long_messages_fill_no_snapshot_and_no_page(meeting, host, jane):
    """What is sent at once is bounded in bytes, too; pages lead on to the others."""
    sent = []
    for number in range(40):
        meeting.wait(1)
        sent.append(f"{number:02d}" + "\U0001f600" * 4998)
        jane.ask(c.ChatSend(sent[-1]))

    def size(texts):
        return sum(len(text.encode()) for text in texts)

    shown = [m.body for m in meeting.host("Ben").snapshots[-1].chat]
    assert shown == sent[-13:]
    assert size(shown) <= CHAT_BYTES < size(sent[-14:])
    before, pages = None, []
    while True:
        page = host.ask(c.ChatPage(before=before, n=100))
        texts = [m["body"] for m in page["messages"]]
        assert size(texts) <= CHAT_BYTES
        pages = texts + pages
        if not page["more"]:
            break
        before = page["messages"][0]["no"]
    assert pages == sent
