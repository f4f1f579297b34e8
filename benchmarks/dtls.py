"""A DTLS-SRTP client handshake over a plain socket, for servers that insist on one.

pyOpenSSL directly, without aiortc's event loop: 200 handshakes are done before a measurement
begins and must leave nothing running behind them.
"""

import contextlib
import datetime as dt
import socket
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from .peers import Address, Keys, hear

GCM_128 = 0x0007
KEY, SALT = 16, 12
# RFC 5764 section 4.2.
EXPORTER = b"EXTRACTOR-dtls_srtp"
MTU = 1200
STEPS = 200


class Client:
    """One certificate for all handshakes of a run."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "load")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self._context = SSL.Context(SSL.DTLS_METHOD)
        self._context.use_certificate(certificate)
        self._context.use_privatekey(key)
        self._context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")

    def handshake(
        self,
        via: socket.socket,
        server: Address,
        *,
        own_password: str,
        when_silent: Callable[[], None],
    ) -> Keys:
        """Complete a handshake and export the keys of AEAD_AES_128_GCM.

        Args:
            via: Has passed an ICE check.
            server: Who answers the ClientHello.
            own_password: Answers the server's ICE checks.
            when_silent: Called when nothing came for a while, before the flight is repeated.

        Raises:
            ConnectionError: The server did not finish, or chose another profile.
        """
        connection = SSL.Connection(self._context, None)
        connection.set_connect_state()
        connection.set_ciphertext_mtu(MTU)
        for _ in range(STEPS):
            try:
                connection.do_handshake()
            except SSL.WantReadError:
                _flush(connection, via, server)
                datagram = hear(via, own_password)
                if not datagram:
                    when_silent()
                    connection.DTLSv1_handle_timeout()
                elif 20 <= datagram[0] <= 63:  # RFC 7983
                    connection.bio_write(datagram)
                continue
            except SSL.Error as error:
                raise ConnectionError(f"DTLS with {server} failed: {error}") from error
            _flush(connection, via, server)
            return _export(connection)
        raise ConnectionError(f"DTLS with {server} did not finish in {STEPS} steps")


def _flush(connection: SSL.Connection, via: socket.socket, server: Address) -> None:
    with contextlib.suppress(SSL.WantReadError):
        via.sendto(connection.bio_read(65536), server)


def _export(connection: SSL.Connection) -> Keys:
    chosen = connection.get_selected_srtp_profile()
    if chosen != b"SRTP_AEAD_AES_128_GCM":
        raise ConnectionError(f"the server chose the SRTP profile {chosen!r}")
    material = connection.export_keying_material(EXPORTER, 2 * (KEY + SALT))
    client_key, server_key = material[:KEY], material[KEY : 2 * KEY]
    client_salt, server_salt = material[2 * KEY : 2 * KEY + SALT], material[2 * KEY + SALT :]
    return Keys(GCM_128, client_key, client_salt, server_key, server_salt)
