"""The private names of aiortc that `sfu.dtls` and `sfu.datachannels` lean on.

aiortc promises nothing about them, so its version is pinned and each is exercised here in a live
handshake. When this file goes red after an upgrade, read what changed before touching the pin.
"""

import asyncio
import inspect
import re

import pytest
from aiortc import RTCDtlsTransport, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcdtlstransport import SRTP_PROFILES, State

from sfu.datachannels import DataChannels
from tests.sfu.dtls_pipe import AiortcPeer, Server, join
from tests.support.wait import until


@pytest.fixture
async def connected():
    """Our transport and a stock one, after a live handshake."""
    server, peer = Server(), AiortcPeer()
    join(server, peer)
    await asyncio.gather(server.dtls.connect(peer.fingerprints), peer.start())
    yield server, peer
    await server.dtls.stop()
    await peer.dtls.stop()


@pytest.mark.parametrize(
    "name",
    ["_do_handshake", "_recv_next", "_send_data", "_set_role", "_set_state", "_setup_srtp",
     "_validate_peer_identity", "_write_ssl", "_register_data_receiver"],
)  # fmt: skip
def test_dtls_methods_are_there(name: str) -> None:
    """Each method that we call or override exists on the class."""
    assert callable(getattr(RTCDtlsTransport, name))


@pytest.mark.parametrize(
    "name",
    ["_abort", "_data_channel_open", "_data_channel_receive", "_data_channel_send",
     "_get_inbound_stream", "_handle_data", "_send_chunk", "_set_state"],
)  # fmt: skip
def test_sctp_methods_are_there(name: str) -> None:
    """Each method that we call or override exists on the class."""
    assert callable(getattr(RTCSctpTransport, name))


def test_start_calls_our_hooks_in_the_order_that_matters() -> None:
    """Identity is checked before keys are exported, and both before the state is connected."""
    source = inspect.getsource(RTCDtlsTransport.start)
    steps = ["_do_handshake", "_validate_peer_identity", "_setup_srtp", "State.CONNECTED", "_task"]
    positions = [source.index(step) for step in steps]
    assert positions == sorted(positions)


def test_the_transport_below_needs_three_names_only() -> None:
    """What DTLS asks of its ICE transport is what `RecordQueue` has."""
    source = inspect.getsource(RTCDtlsTransport)
    assert set(re.findall(r"self\.transport\.(\w+)", source)) == {"role", "_recv", "_send"}


async def test_the_live_objects_hold_what_we_read(connected: tuple[Server, AiortcPeer]) -> None:
    """Role, state, task, connection and profiles are where we look for them."""
    server, _ = connected
    dtls = server.dtls
    assert dtls._role == "server"
    assert dtls._state is State.CONNECTED
    assert dtls._task is not None
    assert dtls._ssl is not None
    assert dtls._ssl.get_selected_srtp_profile() in {p.openssl_profile for p in SRTP_PROFILES}
    assert dtls._transport is dtls._records


async def test_no_srtp_session_is_made_in_python(connected: tuple[Server, AiortcPeer]) -> None:
    """Our override of `_setup_srtp` replaces the sessions: media never enters Python."""
    server, peer = connected
    assert server.dtls._rx_srtp is None
    assert server.dtls._tx_srtp is None
    assert peer.dtls._rx_srtp is not None


async def test_the_live_association_holds_what_we_read(
    connected: tuple[Server, AiortcPeer],
) -> None:
    """The buffers that we bound are the ones that aiortc fills."""
    server, peer = connected
    ours = DataChannels(server.dtls, lambda _channel, _message: None)
    theirs = RTCSctpTransport(peer.dtls)
    await ours.open_association(port=5000, max_message_size=0)
    await theirs.start(RTCSctpCapabilities(maxMessageSize=0), 5000)
    await until(lambda: ours.state == theirs.state == "connected")
    assert ours._association_state is ours.State.ESTABLISHED
    assert ours._inbound_streams == {}
    assert ours._sack_misordered == set()
    assert ours._sack_duplicates == []
    assert ours._data_channels == {}
    assert not ours._data_channel_queue
    assert isinstance(ours._advertised_rwnd, int)
    assert ours.is_server
    await ours.stop()
    await theirs.stop()
