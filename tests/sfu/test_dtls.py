"""The DTLS association: against aiortc, against OpenSSL alone, and against liars."""

import asyncio
import contextlib
import itertools

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from sfu import dtls
from sfu.dtls import DTLSCertificate
from sfu.dtls_records import split_records
from sfu.engine import SRTPProfile
from sfu.errors import DTLSError
from sfu.sdp import Fingerprint
from tests.support.wait import until

from .dtls_pipe import SERVER_CERTIFICATE, AiortcPeer, OpenSSLPeer, Server, join
from .test_dtls_records import ALERT, record


async def connect(server: Server, peer: AiortcPeer) -> None:
    """Run both ends of a handshake to the end."""
    join(server, peer)
    await asyncio.gather(server.dtls.connect(peer.fingerprints), peer.start())


@pytest.mark.parametrize("roles", [("server", "client"), ("client", "server")])
async def test_both_roles_agree_with_aiortc_on_the_keys(roles: tuple[str, str]) -> None:
    """What we hand down decrypts what the peer encrypts, and the other way round."""
    server, peer = Server(roles[0]), AiortcPeer(roles[1])
    await connect(server, peer)
    (keys,) = server.keys
    assert peer.dtls.state == server.dtls.state == "connected"
    material = peer.dtls._ssl.export_keying_material(
        b"EXTRACTOR-dtls_srtp", 2 * (len(keys.local_key) + len(keys.local_salt))
    )
    size, salt = len(keys.local_key), len(keys.local_salt)
    cut = [material[:size], material[size : 2 * size], material[2 * size : -salt], material[-salt:]]
    ours, theirs = (1, 0) if roles[0] == "server" else (0, 1)
    assert (keys.local_key, keys.local_salt) == (cut[ours], cut[2 + ours])
    assert (keys.remote_key, keys.remote_salt) == (cut[theirs], cut[2 + theirs])
    await server.dtls.stop()


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([0, 1, 2], SRTPProfile.AEAD_AES_128_GCM),
        ([0, 2], SRTPProfile.AEAD_AES_256_GCM),
        ([2], SRTPProfile.AES128_CM_SHA1_80),
    ],
)
async def test_as_server_we_choose_the_profile_in_our_order(
    offered: list[int], expected: SRTPProfile
) -> None:
    """AES-128-GCM before AES-256-GCM before CM-SHA1-80, whatever the peer prefers."""
    server, peer = Server(), AiortcPeer()
    peer.dtls._srtp_profiles = [SRTP_PROFILES[index] for index in offered]
    await connect(server, peer)
    assert server.keys[0].profile is expected
    await server.dtls.stop()


async def drive(server: Server, peer: OpenSSLPeer, task: asyncio.Future[None]) -> None:
    """Carry flights between our side and a bare OpenSSL until the handshake has ended."""
    while not task.done():
        await until(lambda: server.sent or task.done())
        flight = peer.step(server.sent)
        server.sent.clear()
        for datagram in dtls.pack_datagrams(flight):
            server.dtls.feed(datagram)


async def test_openssl_with_a_fragmented_hello_connects() -> None:
    """A ClientHello that fills two datagrams, as Chromium's does, is put together in any order."""
    server, peer = Server(), OpenSSLPeer()
    task = asyncio.ensure_future(server.dtls.connect(peer.fingerprints))
    datagrams = list(dtls.pack_datagrams(peer.step([])))
    assert len(datagrams) >= 2, "the hello was meant to be cut"
    for datagram in reversed(datagrams):
        server.dtls.feed(datagram)
    await drive(server, peer, task)
    await task
    assert server.keys[0].profile is SRTPProfile.AEAD_AES_128_GCM
    material = peer.ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 56)
    assert server.keys[0].remote_key == material[:16]
    await server.dtls.stop()


async def test_a_peer_without_a_certificate_gets_no_keys() -> None:
    """Who proves no identity is refused, whatever it signaled."""
    server, peer = Server(), OpenSSLPeer(anonymous=True)
    task = asyncio.ensure_future(server.dtls.connect(peer.fingerprints))
    for datagram in dtls.pack_datagrams(peer.step([])):
        server.dtls.feed(datagram)
    with contextlib.suppress(SSL.Error):  # our alert
        await drive(server, peer, task)
    with pytest.raises(DTLSError):
        await task
    assert server.keys == []


async def test_a_wrong_fingerprint_yields_no_keys() -> None:
    """A peer whose certificate is not the signaled one is refused before keys are exported."""
    server, peer = Server(), AiortcPeer()
    join(server, peer)
    other = AiortcPeer().fingerprints
    client = asyncio.ensure_future(peer.start())
    with pytest.raises(DTLSError, match="not the one"):
        await server.dtls.connect(other)
    assert server.keys == []
    await client
    await peer.dtls.stop()


async def test_one_wrong_fingerprint_among_right_ones_is_wrong() -> None:
    """Every signaled fingerprint that we can check must match."""
    server, peer = Server(), AiortcPeer()
    join(server, peer)
    client = asyncio.ensure_future(peer.start())
    mixed = [peer.fingerprints[0], Fingerprint("sha-384", ":".join(["00"] * 48))]
    with pytest.raises(DTLSError, match="not the one"):
        await server.dtls.connect(mixed)
    assert server.keys == []
    await client
    await peer.dtls.stop()


async def test_no_fingerprint_is_an_error_at_once() -> None:
    """An empty list of fingerprints never becomes an unchecked connection."""
    with pytest.raises(DTLSError, match="no certificate fingerprint"):
        await Server().dtls.connect([])


async def test_forged_alerts_do_not_harm_the_handshake() -> None:
    """A plaintext fatal alert before, between and after the records changes nothing."""
    server, peer = Server(), AiortcPeer()
    join(server, peer)

    def spray(datagram: bytes) -> None:
        server.dtls.feed(ALERT)
        server.dtls.feed(ALERT + datagram + ALERT)

    peer.to_server = spray
    await asyncio.gather(server.dtls.connect(peer.fingerprints), peer.start())
    server.dtls.feed(ALERT)
    assert server.dtls.state == "connected"
    assert len(server.keys) == 1
    await server.dtls.stop()


async def test_lost_flights_are_repaired() -> None:
    """Each side's first datagram of every flight may be lost: the timers send it again."""
    server, peer = Server(), AiortcPeer()
    join(server, peer)
    for name, sink in (("to_server", peer.to_server), ("peer", server.peer)):
        count = itertools.count()
        owner = peer if name == "to_server" else server
        setattr(owner, name, lambda d, sink=sink, count=count: sink(d) if next(count) else None)
    await asyncio.gather(server.dtls.connect(peer.fingerprints), peer.start())
    assert len(server.keys) == 1
    await server.dtls.stop()


async def test_a_handshake_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the peer's first record the handshake has a deadline."""
    monkeypatch.setattr(dtls, "HANDSHAKE_SECONDS", 0.05)
    server = Server()
    first_fragment = next(dtls.pack_datagrams(OpenSSLPeer().step([])))
    server.dtls.feed(first_fragment)
    with pytest.raises(DTLSError, match="within"):
        await server.dtls.connect([Fingerprint("sha-256", ":".join(["00"] * 32))])
    assert server.dtls.state == "failed"
    await server.dtls.stop()


async def test_endless_handshake_bytes_are_refused() -> None:
    """A peer that sends and sends and never finishes is cut off."""
    server = Server()
    task = asyncio.ensure_future(server.dtls.connect(AiortcPeer().fingerprints))
    for _ in range(1000):
        server.dtls.feed(record(22, b"\x01" + b"x" * 199))
    with pytest.raises(DTLSError):
        await task
    assert server.keys == []


async def test_the_end_of_the_peer_is_observed() -> None:
    """close_notify becomes one call of `on_closed`, and our own `stop` none."""
    server, peer = Server(), AiortcPeer()
    await connect(server, peer)
    await peer.dtls.stop()
    await until(lambda: server.closed)
    assert server.closed == ["the peer closed it"]
    second, peer = Server(), AiortcPeer()
    await connect(second, peer)
    await second.dtls.stop()
    await until(lambda: peer.dtls.state == "closed")
    assert second.closed == []


async def test_the_death_of_the_pump_is_observed(caplog: pytest.LogCaptureFixture) -> None:
    """An error of ours inside aiortc's reading task is logged and reported, never silent."""
    server, peer = Server(), AiortcPeer()
    await connect(server, peer)

    class Broken:
        async def _handle_data(self, data: bytes) -> None:
            raise LookupError("our bug")

    server.dtls._register_data_receiver(Broken())
    await peer.dtls._send_data(b"x")
    await until(lambda: server.closed)
    assert server.closed == ["internal error"]
    assert "our bug" in caplog.text


async def test_transports_share_one_context() -> None:
    """All transports of a process use one SSL context; each still gets keys of its own."""
    first, second = Server(), Server()
    peers = AiortcPeer(), AiortcPeer()
    await connect(first, peers[0])
    await connect(second, peers[1])
    assert first.dtls._ssl.get_context() is second.dtls._ssl.get_context()
    assert first.keys != second.keys
    await first.dtls.stop()
    await second.dtls.stop()


async def test_sessions_cannot_be_resumed() -> None:
    """A resumed session would present no certificate, so the context keeps none."""
    context = SERVER_CERTIFICATE._create_ssl_context([])
    assert context.get_session_cache_mode() == SSL.SESS_CACHE_OFF


@pytest.mark.parametrize("roles", [("server", "client"), ("client", "server")])
async def test_nothing_is_negotiated_anew(roles: tuple[str, str]) -> None:
    """Who asks for a second handshake gets an alert, never a flight, and the first one stands."""
    server, peer = Server(roles[0]), AiortcPeer(roles[1])
    await connect(server, peer)
    server.sent.clear()
    ssl = peer.dtls._ssl
    assert ssl is not None
    ssl.renegotiate()
    with contextlib.suppress(SSL.WantReadError):
        ssl.do_handshake()
    for datagram in dtls.pack_datagrams(ssl.bio_read(65536)):
        server.dtls.feed(datagram)
    await until(lambda: server.sent)
    kinds = {each[0] for datagram in server.sent for each in split_records(datagram)}
    assert kinds == {ALERT[0]}
    assert server.dtls.state == "connected"
    assert len(server.keys) == 1
    await server.dtls.stop()


def test_the_fingerprint_is_the_certificates() -> None:
    """The fingerprint for SDP is SHA-256 over the certificate itself."""
    certificate = DTLSCertificate.generate()
    fingerprint = certificate.fingerprint
    assert fingerprint.algorithm == "sha-256"
    assert len(fingerprint.value) == 95
    assert fingerprint != SERVER_CERTIFICATE.fingerprint


def test_keys_do_not_show_in_logs() -> None:
    """The text of keys names the profile alone."""
    keys = dtls.SRTPKeys(SRTPProfile.AEAD_AES_128_GCM, b"secret", b"s", b"secret", b"s")
    assert repr(keys) == "SRTPKeys(AEAD_AES_128_GCM)"
