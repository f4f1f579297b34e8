"""A meeting over the real server: the waiting room's silence, resume, superseding, the end."""

import json
import random
import secrets

import aiohttp
import pytest

from tests.support import client
from tests.support.api import Api

# A plain audio offer as any client could make one; its ICE credentials must not be answered.
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=sendrecv",
        "a=rtpmap:111 opus/48000/2",
        "",
    ]
)


@pytest.mark.parametrize("subprotocol", [client.JSON, client.MSGPACK])
async def test_a_meeting_from_the_booking_to_the_timeline(server, subprotocol):
    """Book, join, wait, admit, talk, end: the CRM has one communications row with attendance."""
    api = Api(server.url, server.dev["api_key"])
    booked = await api.book()
    host = await client.enter(booked["host_url"], subprotocol=subprotocol)
    guest = await client.enter(booked["guest_url"], name="Jane Doe", subprotocol=subprotocol)
    assert guest.hello_reply["state"] == "waiting"
    await host.until(lambda: host.of("lobby.list"))
    assert (await host.ask("lobby.admit", {"ids": [guest.id]}))["committed"] is True
    await guest.next("snapshot", count=2)
    await guest.ask("chat.send", {"body": "hello"})
    assert (await host.next("chat.msg"))["body"] == "hello"
    assert (await host.ask("room.end"))["committed"] is True
    assert [await host.closed(), await guest.closed()] == [4410, 4410]
    timeline = await api.get(f"/v1/people/{booked['person']['id']}/timeline")
    meetings = [item for item in timeline["items"] if "meeting" in json.dumps(item)]
    assert meetings
    appointment = await api.get(f"/v1/appointments/{booked['id']}")
    assert (appointment["status"], appointment["outcome"]) == ("completed", "held")
    status, refusal = await client.join_link(booked["guest_url"])
    assert (status, refusal["code"]) == (409, "ended")


async def test_a_waiting_guest_sees_nothing_and_gets_no_ice_credential(sqlite_server):
    """Before admission: no roster, no chat, no events of the room, and an offer is forbidden."""
    link = sqlite_server.dev
    host = await client.enter(link["host_url"])
    guest = await client.enter(link["guest_url"], name="Jane")
    await host.ask("chat.send", {"body": "not for the waiting room"})
    await host.ask("track.set", {"source": "mic", "on": True})
    for method, params in (
        ("media.offer", {"sdp": OFFER, "tracks": [{"mid": "0", "source": "mic"}]}),
        ("view.set", {"layout": "grid"}),
        ("chat.send", {"body": "x"}),
        ("chat.page", {}),
        ("hand.set", {"up": True}),
        ("lobby.admit", {"ids": [guest.id]}),
    ):
        with pytest.raises(client.RefusedError) as refused:
            await guest.ask(method, params)
        assert refused.value.code == "forbidden"
    seen = json.dumps(guest.frames)
    assert "ice-ufrag" not in seen
    assert "not for the waiting room" not in seen
    assert host.id not in seen
    assert {event["t"] for event in guest.events} <= {"snapshot", "lobby.state"}
    for peer in (host, guest):
        await peer.close()


async def test_whose_connection_breaks_is_shown_so_to_the_others(sqlite_server):
    """A socket that breaks without a word reaches the room: after five seconds others are told."""
    booked = await Api(sqlite_server.url, sqlite_server.dev["api_key"]).book()
    host = await client.enter(booked["host_url"])
    guest = await client.enter(booked["guest_url"], name="Jane Doe")
    await host.until(lambda: host.of("lobby.list"))
    await host.ask("lobby.admit", {"ids": [guest.id]})
    await guest.next("snapshot", count=2)

    def told(state):
        changes = [each for delta in host.of("roster.delta") for each in delta.get("upd", ())]
        return any(each["id"] == guest.id and each.get("state") == state for each in changes)

    await guest.ask("chat.send", {"body": "here"})
    guest.cut()
    await host.until(lambda: told("reconnecting"), timeout=20)
    await host.close()


async def test_after_a_cut_the_log_equals_that_of_an_uncut_control(sqlite_server):
    """20 events pass during the cut, some private to others: resume brings exactly the missing."""
    rng = random.Random(11)
    print("seed 11")
    links = sqlite_server.dev
    host = await client.enter(links["host_url"])
    jane, ben, control = [await admitted(host, links["guest_url"], n) for n in ("J", "B", "C")]
    await host.ask("room.lock", {"on": True})
    for peer in (jane, control):
        await peer.next("room.changed")
    start = dict(jane.positions)
    jane.cut()
    await jane.closed()
    for number in range(7):
        to = {"to": rng.choice([ben.id, control.id, jane.id])} if number % 2 else {}
        await host.ask("chat.send", {"body": f"message {number}", **to})
        await host.ask("room.lock", {"on": False})
        await host.ask("room.lock", {"on": True})
    again = await client.resume(jane)
    assert again.hello_reply["resumed"] is True
    await again.next("resumed")
    await host.ask("chat.send", {"body": "the last"})
    for peer in (again, control):
        await peer.until(lambda p=peer: any(m["body"] == "the last" for m in p.of("chat.msg")))
    after = {stream: start[stream][1] for stream in ("room", "scope:main")}
    assert logged(again, after) == logged(control, after)
    assert {stream for stream, *_ in logged(again, after)} == after.keys()
    assert len(logged(again, after)) >= 10
    own = [event for event in again.events if event["st"] == f"self:{jane.id}" and "s" in event]
    first = start[f"self:{jane.id}"][1] + 1
    assert [event["s"] for event in own] == list(range(first, first + len(own)))
    private = [message for message in again.of("chat.msg") if message["to"]]
    assert private
    assert all(message["to"] == jane.id for message in private)
    assert any(message["to"] for message in ben.of("chat.msg") + control.of("chat.msg"))
    for peer in (host, again, ben, control):
        await peer.close()


async def admitted(host, link, name):
    """Another guest on the link, inside."""
    peer = await client.enter(link, name=name, device=secrets.token_urlsafe(16))
    await host.ask("lobby.admit", {"ids": [peer.id]})
    await peer.next("snapshot", count=2)
    return peer


def logged(peer, after):
    """The sequenced events of some streams, in order of all, each stream's behind its number."""
    return [
        (event["st"], event["s"], event["t"], event["p"])
        for event in peer.events
        if event["st"] in after and event.get("s", 0) > after[event["st"]]
    ]


async def test_a_second_tab_supersedes_and_the_first_does_not_come_back(sqlite_server):
    """Twice over: each newer tab wins; the older get the terminal code and a stale secret."""
    link, device = sqlite_server.dev["host_url"], secrets.token_urlsafe(16)
    tabs = []
    for _ in range(3):
        tabs.append(await client.enter(link, device=device))
    for old in tabs[:2]:
        assert await old.closed() == 4409
        assert old.events[-1]["t"] == "superseded"
        with pytest.raises(client.RefusedError) as refused:
            await client.resume(old)
        assert refused.value.code == "stale_epoch"
    assert len({tab.id for tab in tabs}) == 1
    assert (await tabs[2].ask("chat.send", {"body": "still here"}))["ok"]
    await tabs[2].close()


async def test_a_reload_is_the_same_participant_and_another_device_another(sqlite_server):
    """The device decides: same device, same row; another device on a person's link is a guest."""
    links = sqlite_server.dev
    host = await client.enter(links["host_url"])
    first = await client.enter(links["guest_url"], name="Jane")
    await host.ask("lobby.admit", {"ids": [first.id]})
    await first.next("snapshot", count=2)
    await first.close()
    reloaded = await client.enter(links["guest_url"], name="Jane", device=first.device)
    assert (reloaded.id, reloaded.hello_reply["state"]) == (first.id, "active")
    other = await client.enter(links["guest_url"], name="Spouse")
    assert other.id != first.id
    assert other.hello_reply["state"] == "waiting"
    assert other.snapshot["me"]["identity_kind"] == "guest"
    assert reloaded.snapshot["me"]["identity_kind"] == "person"
    for peer in (host, reloaded, other):
        await peer.close()


async def test_wrong_absent_and_malformed_links_get_the_same_answer(sqlite_server):
    """Nobody learns which rooms exist; malformed bodies are told what is wrong, with no 5xx."""
    good = sqlite_server.dev["guest_url"]
    base, _, secret = good.partition("#k=")
    answers = [
        await client.join_link(f"{base}#k={'A' * 43}"),
        await client.join_link(f"{base[:-3]}abc#k={secret}"),
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    async with aiohttp.ClientSession() as session:
        for body in (b"", b"{", b"[]", b'{"secret":5}', b'{"secret":"x","more":1}', b"\xff\xfe"):
            async with session.post(f"{base}/join", data=body) as answer:
                assert answer.status == 400
                assert (await answer.json(content_type=None))["code"] == "bad_request"
        async with session.post(f"{base}/join", data=b" " * 5000) as answer:
            assert answer.status == 413


async def test_guessing_secrets_is_slowed_down(sqlite_server):
    """After some wrong secrets the address is told to wait; the right one is let in all the same."""
    base, _, secret = sqlite_server.dev["guest_url"].partition("#k=")
    seen = []
    for number in range(40):
        status, answer = await client.join_link(f"{base}#k={'B' * 40}{number:03}")
        seen.append(status)
    assert seen[0] == 404
    assert (seen[-1], answer["code"]) == (429, "rate")
    assert answer["retry_ms"] > 0
    status, _ = await client.join_link(f"{base}#k={secret}")
    assert status == 200
