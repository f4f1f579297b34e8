"""The media shell of a node: making transports and handing out events."""

import itertools

import pytest

from sfu.engine import Event, Speakers, TransportState
from sfu.media import MediaServer, host_candidates
from sfu.sdp_parser import parse_sdp
from sfu.transport import MediaState
from tests.support.fake_engine import FakeEngine

from .dtls_pipe import SERVER_CERTIFICATE
from .offers import TRIMMED, labels


class Node:
    """A media server on a fake engine."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.events: list[Event] = []
        self.server = MediaServer(
            self.engine,
            addresses=["192.0.2.1", "2001:db8::1"],
            certificate=SERVER_CERTIFICATE,
            session_ids=itertools.count(1).__next__,
            on_event=self.events.append,
        )
        self.server.start()
        self.room = self.engine.create_room()


def test_candidates_stand_in_order_of_preference() -> None:
    """Each announced address becomes one UDP host candidate; earlier ones are preferred."""
    first, second = host_candidates(["192.0.2.1", "2001:DB8::1"], 7882)
    assert (first.address, second.address) == ("192.0.2.1", "2001:db8::1")
    assert first.port == 7882
    assert first.priority > second.priority
    assert first.foundation != second.foundation
    with pytest.raises(ValueError, match="example"):
        host_candidates(["example.org"], 7882)


async def test_answers_announce_the_nodes_addresses() -> None:
    """The answer carries the announced addresses with the engine's port, and an id of its own."""
    node = Node()
    answers = []
    for _ in range(2):
        transport = node.server.open_transport(node.room, on_state=lambda _state, _reason: None)
        answers.append(parse_sdp((transport.handle_offer(TRIMMED, labels(8))).sdp))
    assert [c.address for c in answers[0].media[0].candidates] == ["192.0.2.1", "2001:db8::1"]
    assert {c.port for c in answers[0].media[0].candidates} == {node.engine.port}
    assert answers[0].session_id != answers[1].session_id
    await node.server.close()


async def test_each_event_goes_where_it_belongs() -> None:
    """A transport gets its own states; the handler gets everything that is no transport's."""
    node = Node()
    states: dict[str, list[MediaState]] = {"a": [], "b": []}
    a, b = (
        node.server.open_transport(
            node.room, on_state=lambda state, _reason, name=name: states[name].append(state)
        )
        for name in "ab"
    )
    for transport in (a, b):
        transport.handle_offer(TRIMMED, labels(8))
    node.engine.deliver(TransportState(a.id, "failed"))
    node.engine.deliver(TransportState(999, "failed"))
    node.engine.deliver(Speakers(node.room, ((5, -30),)))
    assert states == {"a": [MediaState.CONNECTING, MediaState.FAILED], "b": [MediaState.CONNECTING]}
    assert node.events == [Speakers(node.room, ((5, -30),))]
    await node.server.close()
    assert states["b"][-1] is MediaState.CLOSED
    assert node.engine.transports == {}


async def test_a_closed_transport_is_forgotten() -> None:
    """Nothing is kept of a transport that has ended."""
    node = Node()
    transport = node.server.open_transport(node.room, on_state=lambda _state, _reason: None)
    await transport.close()
    assert node.server._transports == {}
    await node.server.close()
