"""DTLS for one transport: aiortc's state machine over datagrams that the engine passes up.

The handshake runs here, on OpenSSL; the SRTP keys that it yields are exported once and handed
down, and no media packet ever comes back. The peer's certificate must match the fingerprint that
it signaled, else no key leaves (RFC 5763, RFC 8827). What may reach OpenSSL at all is
`sfu.dtls_records`; data channels on top are `sfu.datachannels`. The private names of aiortc that
this module leans on are proved by `tests/contracts/test_aiortc_private_names.py`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Literal

from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    SRTPProtectionProfile,
    State,
)
from OpenSSL import SSL

from .dtls_records import RecordQueue, pack_datagrams
from .engine import SRTPKeys, SRTPProfile
from .errors import DTLSError
from .sdp import Fingerprint

HANDSHAKE_SECONDS = 10.0
"""From the peer's first record to Finished."""

PROFILES = {
    SRTP_AEAD_AES_128_GCM: SRTPProfile.AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM: SRTPProfile.AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80: SRTPProfile.AES128_CM_SHA1_80,
}
"""In our order of preference; as server we choose. GCM costs the engine least per packet."""

_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764 section 4.2
_logger = logging.getLogger(__name__)


class DTLSCertificate(RTCCertificate):
    """Our certificate and the one SSL context that all transports of the process share."""

    _context: SSL.Context | None = None

    @classmethod
    def generate(cls) -> "DTLSCertificate":
        """Make a self-signed P-256 certificate; peers know it by its fingerprint."""
        return cls.generateCertificate()

    @property
    def fingerprint(self) -> Fingerprint:
        """The SHA-256 fingerprint, for SDP."""
        digest = next(f for f in self.getFingerprints() if f.algorithm == "sha-256")
        return Fingerprint(digest.algorithm, digest.value)

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        """Override: make it once (0.3 ms and 15 KiB per peer otherwise), and close two doors.

        Sessions are never resumed (a resumed one presents no certificate) nor renegotiated.
        """
        if self._context is None:
            context = super()._create_ssl_context(srtp_profiles)
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            context.set_options(SSL.OP_NO_RENEGOTIATION)
            self._context = context
        return self._context


class DTLSTransport(RTCDtlsTransport):
    """One DTLS association.

    Args:
        certificate: Ours.
        role: "server" waits for the peer's ClientHello, "client" sends one.
        send: Takes one datagram to the peer.
        on_keys: Called once, after the peer has proved its identity.
        on_closed: Called once if the association ends after `connect` has returned, with a
            reason: the peer closed it, or our data pump died. Not called by `stop`.
    """

    def __init__(
        self,
        *,
        certificate: DTLSCertificate,
        role: Literal["server", "client"],
        send: Callable[[bytes], None],
        on_keys: Callable[[SRTPKeys], None],
        on_closed: Callable[[str], None],
    ) -> None:
        self._records = RecordQueue(send)
        super().__init__(
            self._records,  # type: ignore[arg-type] # three names of it are used, see RecordQueue
            [certificate],
        )
        self._set_role(role)
        self._srtp_profiles = list(PROFILES)
        self._on_keys = on_keys
        self._on_closed = on_closed
        self._failure = "the handshake failed"

    def feed(self, datagram: bytes) -> None:
        """Take a datagram from the peer's checked address; never raises."""
        self._records.feed(datagram)

    async def connect(self, fingerprints: Iterable[Fingerprint]) -> None:
        """Run the handshake and check the peer's certificate against `fingerprints`.

        As server this waits for the peer's first record as long as the caller does; from then
        on the handshake has `HANDSHAKE_SECONDS`.

        Raises:
            DTLSError: No association was made; nothing was handed to `on_keys`.
        """
        remote = RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint(f.algorithm, f.value) for f in fingerprints]
        )
        if not remote.fingerprints:
            raise DTLSError("the peer signaled no certificate fingerprint")
        if self._role == "server":
            await self._records.wait_readable()
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await self.start(remote)
        except TimeoutError:
            self._set_state(State.FAILED)
            raise DTLSError(f"no handshake within {HANDSHAKE_SECONDS:g} s") from None
        if self._state is not State.CONNECTED or self._task is None:
            raise DTLSError(self._failure)
        self._task.add_done_callback(self._pump_ended)

    async def stop(self) -> None:
        """Send close_notify and end; harmless in every state."""
        await super().stop()
        self._records.close()

    # ---------------------------------------------------------------- aiortc's hooks

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803 - aiortc's name
        super()._validate_peer_identity(remoteParameters)
        if self._state is State.FAILED:
            self._failure = "the peer's certificate is not the one it signaled"

    def _setup_srtp(self) -> None:
        """Override: export the keys instead of making SRTP sessions in Python."""
        ssl = self._connection()
        name = ssl.get_selected_srtp_profile()
        known = next((known for known in PROFILES if known.openssl_profile == name), None)
        if known is None:
            self._failure = "no common SRTP profile"
            self._set_state(State.FAILED)
            return
        size = known.key_length
        material = ssl.export_keying_material(_EXPORTER_LABEL, 2 * (size + known.salt_length))
        client = known.get_key_and_salt(material, 0)
        server = known.get_key_and_salt(material, 1)
        local, remote = (server, client) if self._role == "server" else (client, server)
        self._records.handshake_done()
        self._on_keys(
            SRTPKeys(PROFILES[known], local[:size], local[size:], remote[:size], remote[size:])
        )

    async def _send_data(self, data: bytes) -> None:
        """Override: a peer that has begun what OpenSSL does not do (a renegotiation) gets no more."""
        try:
            await super()._send_data(data)
        except SSL.Error as error:
            raise ConnectionError("the association cannot send") from error

    async def _write_ssl(self) -> None:
        """Override: send all that OpenSSL wrote, in datagrams of whole records.

        The base class reads 1,500 bytes once, which may cut a record of a long flight in two.
        """
        ssl = self._connection()
        flight = b""
        while True:
            try:
                flight += ssl.bio_read(65536)
            except SSL.WantReadError:
                break
        for datagram in pack_datagrams(flight):
            await self._records._send(datagram)  # noqa: SLF001 - the name that aiortc calls

    def _connection(self) -> SSL.Connection:
        if self._ssl is None:
            raise RuntimeError("DTLS was used before it was started")
        return self._ssl

    def _pump_ended(self, pump: asyncio.Future[None]) -> None:
        """Observe the end of aiortc's reading task, which nobody else awaits."""
        if pump.cancelled():
            return
        error = pump.exception()
        if error is not None:
            _logger.error("the DTLS pump died", exc_info=error)
        self._on_closed("the peer closed it" if error is None else "internal error")
