"""One transport over a fake engine and real DTLS."""

import asyncio
from dataclasses import replace

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpTransport

from sfu import dtls, transport
from sfu.datachannels import DataChannel
from sfu.engine import DtlsRecord, Event, TransportState
from sfu.errors import NegotiationError, SDPError, TransportClosedError
from sfu.sdp import Fingerprint, SessionDescription, format_sdp
from sfu.sdp_parser import parse_sdp
from sfu.transport import TRANSITIONS, MediaState, MediaTransport, Trigger
from tests.support.fake_engine import FakeEngine
from tests.support.wait import until

from .dtls_pipe import SERVER_CERTIFICATE, AiortcPeer
from .offers import DEFAULT, TRIMMED, labels


class Client:
    """A client's end: an aiortc DTLS transport and offers that carry its fingerprint."""

    def __init__(self, role: str = "client") -> None:
        self.engine = FakeEngine()
        self.states: list[tuple[MediaState, str]] = []
        self.messages: list[object] = []
        self.transport = MediaTransport(
            self.engine,
            self.engine.create_room(),
            certificate=SERVER_CERTIFICATE,
            candidates=[],
            session_id=1,
            on_state=lambda state, reason: self.states.append((state, reason)),
            on_message=self._on_message,
        )
        self.engine.start(self._on_event)
        self.peer = AiortcPeer(role)
        self.peer.to_server = lambda datagram: self.engine.deliver(
            DtlsRecord(self.transport.id, datagram)
        )
        self.engine.on_dtls = lambda _transport, datagram: self.peer.inbox.put_nowait(datagram)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, TransportState | DtlsRecord) and event.transport == self.transport.id:
            self.transport.handle_event(event)

    def _on_message(self, channel: DataChannel, message: bytes | str) -> None:
        self.messages.append(message)

    def offer(self, text: str = TRIMMED, **fields: object) -> str:
        fingerprints = tuple(f for f in self.peer.fingerprints if f.algorithm == "sha-256")
        fields = {"fingerprints": fingerprints} | fields
        offer = parse_sdp(text)
        return format_sdp(replace(offer, media=tuple(replace(m, **fields) for m in offer.media)))

    async def connect(self) -> None:
        self.transport.handle_offer(self.offer(), labels(8))
        self.engine.check(self.transport.id)
        await self.peer.start()
        await until(lambda: self.transport.state is MediaState.CONNECTED)


@pytest.fixture
async def client():
    """A client that has not offered yet."""
    client = Client()
    yield client
    await client.transport.close()
    await client.peer.dtls.stop()


async def test_a_connection_that_is_there_is_not_given_up(client: Client) -> None:
    """The time to connect is over when it has; a timer of it that went on would end the call."""
    client.transport.handle_offer(client.offer(), labels(8))
    timer = client.transport._setup_timer
    assert timer is not None
    assert not timer.cancelled()
    client.engine.check(client.transport.id)
    await client.peer.start()
    await until(lambda: client.transport.state is MediaState.CONNECTED)
    assert timer.cancelled()
    assert client.transport._setup_timer is None


async def test_an_offer_leads_to_an_answer_tracks_slots_and_media(client: Client) -> None:
    """The engine gets tracks and slots, the client an answer, and after DTLS the keys."""
    answer = client.transport.handle_offer(client.offer(), labels(8))
    assert list(answer.tracks) == ["mic", "camera", "screen"]
    assert list(answer.slots) == list(labels(8).values())[3:]
    assert set(answer.tracks.values()) == set(client.engine.tracks)
    assert set(answer.slots.values()) == set(client.engine.slots)
    described = parse_sdp(answer.sdp)
    fake = client.engine.transports[client.transport.id]
    assert described.media[0].ice_ufrag == fake.credentials[0].ufrag
    assert described.media[6].ssrcs[0][0] == 10_000 + answer.slots["video-0"]
    client.engine.check(client.transport.id)
    await client.peer.start()
    await until(lambda: client.transport.state is MediaState.CONNECTED)
    assert fake.keys is not None
    assert [state for state, _ in client.states] == [MediaState.CONNECTING, MediaState.CONNECTED]


async def test_as_dtls_client_it_waits_for_a_checked_path() -> None:
    """When the peer is the DTLS server, our hello leaves only after an ICE check."""
    client = Client("server")
    client.transport.handle_offer(client.offer(setup="passive"), labels(8))
    peer = asyncio.ensure_future(client.peer.start())
    await asyncio.sleep(0)
    fake = client.engine.transports[client.transport.id]
    assert fake.sent == []
    client.engine.check(client.transport.id)
    await peer
    await until(lambda: client.transport.state is MediaState.CONNECTED)
    await client.transport.close()
    await client.peer.dtls.stop()


async def test_data_channels_work_end_to_end(client: Client) -> None:
    """An offer with a data section leads to channels whose messages reach the handler."""
    client.transport.handle_offer(client.offer(DEFAULT), labels(2))
    client.engine.check(client.transport.id)
    await client.peer.start()
    sctp = RTCSctpTransport(client.peer.dtls)
    await sctp.start(None, 5000)
    channel = RTCDataChannel(sctp, RTCDataChannelParameters(label="x"))
    await until(lambda: channel.readyState == "open")
    channel.send("hello")
    await until(lambda: client.messages == ["hello"])
    await sctp.stop()


async def test_a_bad_offer_changes_nothing(client: Client) -> None:
    """Refused offers make no track, no slot and no state; a good one still works."""
    for bad, error in (("v=0", SDPError), (client.offer(fingerprints=()), NegotiationError)):
        with pytest.raises(error):
            client.transport.handle_offer(bad, {})
    assert client.engine.calls == []
    assert client.transport.state is MediaState.NEW
    await client.connect()


async def test_what_the_engine_refuses_after_all_changes_nothing(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two changed sections it takes one: what was stays as it was, and our bug is in the log."""
    await client.connect()
    before = client.transport.handle_offer(client.offer(), labels(8))
    tracks, slots = dict(client.engine.tracks), dict(client.engine.slots)
    calls = len(client.engine.calls)
    changed = without_h264(client.offer(ice_ufrag="newu", ice_pwd="n" * 24), "16")
    client.engine.refused_mids = {"6"}
    with pytest.raises(NegotiationError, match="cannot be used: refused: 6"):
        client.transport.handle_offer(changed, labels(8))
    assert (client.engine.tracks, client.engine.slots) == (tracks, slots)
    assert ("restart_ice", client.transport.id) not in client.engine.calls[calls:]
    assert [record.exc_info is not None for record in caplog.records] == [True]
    same = client.transport.handle_offer(client.offer(), labels(8))
    assert (same.tracks, same.slots) == (before.tracks, before.slots)
    client.engine.refused_mids = set()
    after = client.transport.handle_offer(changed, labels(8))
    assert after.removed == (before.tracks["camera"],)
    assert after.tracks["camera"] in client.engine.tracks


async def test_a_first_offer_that_the_engine_refuses_leaves_nothing(client: Client) -> None:
    """Not even what it had taken before; a good offer still works."""
    client.engine.refused_mids = {"14"}
    with pytest.raises(NegotiationError, match="refused: 14"):
        client.transport.handle_offer(client.offer(), labels(8))
    assert (client.engine.tracks, client.engine.slots) == ({}, {})
    assert set(client.engine.transports) == {client.transport.id}
    assert client.transport.state is MediaState.NEW
    client.engine.refused_mids = set()
    await client.connect()


def without_h264(text: str, mids: str) -> str:
    """The offer with fewer codecs in some sections."""
    offer = parse_sdp(text)
    media = (
        replace(m, formats=("96", "97"), payloads=m.payloads[:2]) if m.mid in mids else m
        for m in offer.media
    )
    return format_sdp(replace(offer, media=tuple(media)))


async def test_a_renegotiation_removes_and_adds(client: Client) -> None:
    """A section that goes inactive ends its track in the engine and is named in the answer."""
    first = client.transport.handle_offer(client.offer(), labels(8))
    parsed = parse_sdp(client.offer())
    inactive = tuple(replace(m, direction="inactive") if m.mid in "26" else m for m in parsed.media)
    answer = client.transport.handle_offer(format_sdp(replace(parsed, media=inactive)), labels(8))
    assert answer.removed == (first.tracks["screen"],)
    assert "screen" not in answer.tracks
    assert "video-0" not in answer.slots
    assert first.slots["video-0"] not in client.engine.slots
    again = client.transport.handle_offer(client.offer(), labels(8))
    assert again.tracks["screen"] not in first.tracks.values()
    assert again.slots["video-1"] == first.slots["video-1"]


async def test_an_ice_restart_uses_new_credentials_and_the_same_association(client: Client) -> None:
    """After a failure a restart with new credentials leads back to connected."""
    await client.connect()
    client.engine.deliver(TransportState(client.transport.id, "failed"))
    assert client.transport.state is MediaState.FAILED
    answer = client.transport.handle_offer(
        client.offer(ice_ufrag="newu", ice_pwd="n" * 24), labels(8)
    )
    fake = client.engine.transports[client.transport.id]
    assert parse_sdp(answer.sdp).media[0].ice_ufrag == fake.credentials[1].ufrag
    assert client.transport.state is MediaState.CONNECTING
    client.engine.deliver(TransportState(client.transport.id, "connected"))
    assert client.transport.state is MediaState.CONNECTED
    assert [call for call in client.engine.calls if call[0] == "set_keys"] == [("set_keys", 1)]


async def test_the_wrong_certificate_closes_the_transport_without_keys(client: Client) -> None:
    """A peer that is not who it signaled to be never gets keys, and the transport is gone."""
    wrong = (Fingerprint("sha-256", ":".join(["00"] * 32)),)
    client.transport.handle_offer(client.offer(fingerprints=wrong), labels(8))
    client.engine.check(client.transport.id)
    await client.peer.start()
    await until(lambda: client.transport.state is MediaState.CLOSED)
    assert "not the one" in client.states[-1][1]
    await client.transport.wait_closed()
    assert client.engine.transports == {}
    assert ("set_keys", client.transport.id) not in client.engine.calls


async def test_the_peers_goodbye_closes_the_transport(client: Client) -> None:
    """close_notify frees the transport at once, not after a timeout."""
    await client.connect()
    await client.peer.dtls.stop()
    await until(lambda: client.transport.state is MediaState.CLOSED)
    await client.transport.wait_closed()
    assert client.engine.transports == {}


async def test_close_says_goodbye_and_frees_everything(client: Client) -> None:
    """The peer hears close_notify, the engine's transport is closed, later offers are refused."""
    await client.connect()
    await client.transport.close()
    await client.transport.close()
    await until(lambda: client.peer.dtls.state == "closed")
    assert client.engine.transports == {}
    assert client.states[-1] == (MediaState.CLOSED, "closed by the server")
    with pytest.raises(TransportClosedError):
        client.transport.handle_offer(client.offer(), labels(8))


async def test_closing_in_the_middle_of_a_handshake_leaves_nothing(client: Client) -> None:
    """A transport that is closed before DTLS is done leaves no task behind."""
    client.transport.handle_offer(client.offer(), labels(8))
    before = asyncio.all_tasks()
    await client.transport.close()
    assert asyncio.all_tasks() <= before
    assert client.engine.transports == {}


async def test_the_engines_end_is_the_transports_end(client: Client) -> None:
    """When the engine drops a transport, ours closes as well."""
    await client.connect()
    client.engine.deliver(TransportState(client.transport.id, "closed"))
    assert client.transport.state is MediaState.CLOSED


async def test_a_goodbye_that_fails_leaves_nothing_in_the_engine(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Media would flow on for a participant who is gone."""

    async def broken(_dtls: dtls.DTLSTransport) -> None:
        raise RuntimeError("no goodbye")

    await client.connect()
    monkeypatch.setattr(dtls.DTLSTransport, "stop", broken)
    await client.transport.close()
    assert client.transport.id not in client.engine.transports
    monkeypatch.undo()


async def test_no_connection_in_time_is_a_failure(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that never comes is reported, and may still restart ICE."""
    monkeypatch.setattr(transport, "SETUP_SECONDS", 0.02)
    client.transport.handle_offer(client.offer(), labels(8))
    await until(lambda: client.transport.state is MediaState.FAILED)
    assert "no connection within" in client.states[-1][1]


async def test_a_stalled_handshake_closes_the_transport(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that begins DTLS and stops is given up after the handshake's deadline."""
    monkeypatch.setattr(dtls, "HANDSHAKE_SECONDS", 0.05)
    client.transport.handle_offer(client.offer(), labels(8))
    client.engine.on_dtls = lambda _transport, _datagram: None
    start = asyncio.ensure_future(client.peer.start())
    await until(lambda: client.transport.state is MediaState.CLOSED)
    assert "within" in client.states[-1][1]
    client.peer.inbox.put_nowait(None)
    await start


@pytest.mark.parametrize("state", list(MediaState))
def test_the_table_knows_every_state(state: MediaState) -> None:
    """Each state has a row, every open state can end, and nothing leads out of closed."""
    row = TRANSITIONS[state]
    assert (Trigger.ENDED in row) == (state is not MediaState.CLOSED)
    assert set(row.values()) <= set(MediaState) - {MediaState.NEW}


def test_offers_of_the_fixtures_are_what_the_tests_think() -> None:
    """The stored offers carry the sections that the labels name."""
    description: SessionDescription = parse_sdp(TRIMMED)
    assert set(labels(8)) == {media.mid for media in description.media}
