"""DTLS peers joined by an in-memory datagram pipe, for tests without a network."""

import asyncio
from collections.abc import Callable

from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from sfu.dtls import DTLSCertificate, DTLSTransport
from sfu.engine import SRTPKeys
from sfu.sdp import Fingerprint

SERVER_CERTIFICATE = DTLSCertificate.generate()


class Server:
    """Our side: a `DTLSTransport` that keeps what it was told."""

    def __init__(
        self, role: str = "server", certificate: DTLSCertificate = SERVER_CERTIFICATE
    ) -> None:
        self.peer: Callable[[bytes], None] = lambda datagram: None
        self.sent: list[bytes] = []
        self.keys: list[SRTPKeys] = []
        self.closed: list[str] = []
        self.dtls = DTLSTransport(
            certificate=certificate,
            role=role,
            send=self._send,
            on_keys=self.keys.append,
            on_closed=self.closed.append,
        )

    def _send(self, datagram: bytes) -> None:
        self.sent.append(datagram)
        self.peer(datagram)


class AiortcPeer:
    """A stock aiortc DTLS transport; it is also the object that carries its datagrams."""

    def __init__(self, role: str = "client") -> None:
        self.role = "controlling"
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.to_server: Callable[[bytes], None] = lambda datagram: None
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls = RTCDtlsTransport(self, [self.certificate])
        self.dtls._set_role(role)

    async def _recv(self) -> bytes:
        datagram = await self.inbox.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, datagram: bytes) -> None:
        self.to_server(datagram)

    @property
    def fingerprints(self) -> list[Fingerprint]:
        return [Fingerprint(f.algorithm, f.value) for f in self.certificate.getFingerprints()]

    async def start(self, certificate: DTLSCertificate = SERVER_CERTIFICATE) -> None:
        fingerprint = certificate.fingerprint
        await self.dtls.start(
            RTCDtlsParameters([RTCDtlsFingerprint(fingerprint.algorithm, fingerprint.value)])
        )


def join(server: Server, peer: AiortcPeer) -> None:
    """Carry each side's datagrams to the other."""
    server.peer = peer.inbox.put_nowait
    peer.to_server = server.dtls.feed


class OpenSSLPeer:
    """A DTLS client made of OpenSSL alone, driven by hand; its hello is cut as Chromium's is."""

    def __init__(self, fragment: int = 1200, *, anonymous: bool = False) -> None:
        self.certificate = RTCCertificate.generateCertificate()
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER, lambda *args: True)
        if not anonymous:
            context.use_certificate(self.certificate._cert)
            context.use_privatekey(self.certificate._key)
        context.set_tlsext_use_srtp(b":".join(p.openssl_profile for p in SRTP_PROFILES))
        context.set_options(0x00001000)  # SSL_OP_NO_QUERY_MTU: keep the MTU below
        # Padding to 1,400 bytes, where Chromium's hello has its post-quantum key share.
        context.set_alpn_protos([bytes([65 + n]) * 240 for n in range(5)])
        self.ssl = SSL.Connection(context)
        self.ssl.set_connect_state()
        self.ssl.set_ciphertext_mtu(fragment)
        self.done = False

    @property
    def fingerprints(self) -> list[Fingerprint]:
        return [Fingerprint(f.algorithm, f.value) for f in self.certificate.getFingerprints()]

    def step(self, datagrams: list[bytes]) -> bytes:
        """Take datagrams, go on with the handshake and return what is to be sent."""
        for datagram in datagrams:
            self.ssl.bio_write(datagram)
        try:
            self.ssl.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        try:
            return self.ssl.bio_read(65536)
        except SSL.WantReadError:
            return b""
