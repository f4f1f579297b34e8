"""An admitted participant without a browser: plain sockets, real ICE, real DTLS, own SRTP.

What it sends afterwards is authenticated, so it reaches what strangers cannot: the DTLS state
machine, the RTP and RTCP parsers, the forwarder.
"""

import asyncio
import re
import socket
from dataclasses import dataclass
from typing import Any

from pylibsrtp import Policy, Session

from benchmarks.dtls import Client
from benchmarks.peers import Address, Keys, check, open_socket
from tests.sfu.offers import TRIMMED, labels
from tests.support import client

from .bystanders import ask

PASSWORD = "insiderinsiderinsider00"
SOURCES = {"mic", "camera", "screen"}


@dataclass
class Insider:
    """A negotiated transport and the socket that it was checked from."""

    peer: client.Peer
    socket: socket.socket
    server: Address
    ufrag: str
    username: str
    password: str
    ssrcs: list[int]
    dtls: Client
    keys: Keys | None = None

    async def shake_hands(self) -> None:
        """Complete DTLS; from here on SRTP can be sealed."""
        self.keys = await asyncio.to_thread(
            self.dtls.handshake,
            self.socket,
            self.server,
            own_password=PASSWORD,
            when_silent=lambda: None,
        )

    async def check(self) -> None:
        """One ICE check; fails when the transport is gone."""
        await asyncio.to_thread(
            check, self.socket, self.server, self.username, self.password, PASSWORD
        )

    def sealer(self) -> Session:
        """Seals what this side sends, with libsrtp."""
        assert self.keys
        policy = Policy(
            key=self.keys.local_key + self.keys.local_salt,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        )
        # The same index may come twice: the storm does not count.
        policy.allow_repeat_tx = True
        policy.window_size = 2**14
        return Session(policy)

    async def leave(self) -> None:
        """End everything."""
        self.socket.close()
        await self.peer.close()


async def infiltrate(peer: client.Peer) -> Insider:
    """Negotiate as the web client does and pass the ICE check."""
    via = open_socket("127.0.0.1")
    dtls = Client()
    offer = TRIMMED
    for pattern, value in (
        (r"a=fingerprint:\S+ \S+", f"a=fingerprint:sha-256 {dtls.fingerprint}"),
        (r"a=ice-ufrag:\S+", "a=ice-ufrag:insider"),
        (r"a=ice-pwd:\S+", f"a=ice-pwd:{PASSWORD}"),
        (r"a=setup:\S+", "a=setup:active"),
    ):
        offer = re.sub(pattern, value, offer)
    answer = await ask(peer, "media.offer", {"sdp": offer, **_sections()})
    sdp = answer["p"]["sdp"]
    ufrag, password = _line(sdp, r"a=ice-ufrag:(\S+)"), _line(sdp, r"a=ice-pwd:(\S+)")
    host, port = _line(sdp, r"a=candidate:\S+ 1 udp \d+ (\S+ \d+) typ host").split()
    insider = Insider(
        peer, via, (host, int(port)), ufrag, f"{ufrag}:insider", password,
        sorted({int(ssrc) for ssrc in re.findall(r"a=ssrc:(\d+) cname", TRIMMED)}), dtls,
    )  # fmt: skip
    await insider.check()
    return insider


def _sections() -> dict[str, Any]:
    names = labels(8)
    return {
        "tracks": [{"mid": mid, "source": name} for mid, name in names.items() if name in SOURCES],
        "slots": [
            {"mid": mid, "kind": name.partition("-")[0]}
            for mid, name in names.items()
            if name not in SOURCES
        ],
    }


def _line(sdp: str, pattern: str) -> str:
    found = re.search(pattern, sdp, re.IGNORECASE)
    assert found, sdp
    return found.group(1)
