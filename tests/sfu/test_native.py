"""The door to the compiled engine: staleness, ports, events."""

import asyncio
import pathlib
import select
import socket

import pytest

from sfu import _engine, native
from sfu.engine import (
    DtlsRecord,
    EngineDied,
    Event,
    EventsDropped,
    KeyframeFailed,
    SlotBound,
    SlotLayer,
    Speakers,
    SRTPProfile,
    TrackLayer,
    TransportState,
)
from sfu.errors import PortTakenError, StaleEngineError
from sfu.native import NativeEngine, check_digest, decode, source_digest
from tests.support.broken_engine import BreakableEngine
from tests.support.wait import until


@pytest.mark.parametrize(
    ("kind", "fields", "event"),
    [
        (_engine.TRANSPORT_STATE, (1, "connected"), TransportState(1, "connected")),
        (_engine.DTLS_RECORD, (1, b"x"), DtlsRecord(1, b"x")),
        (_engine.SLOT_BOUND, (1, 2, 3, 4), SlotBound(1, 2, 3, 4)),
        (_engine.SLOT_LAYER, (1, "h", 640, 360, "fit"), SlotLayer(1, "h", 640, 360, "fit")),
        (_engine.TRACK_LAYER, (1, "h", True, 640, 360), TrackLayer(1, "h", True, 640, 360)),
        (_engine.SPEAKERS, (1, ((2, -20),)), Speakers(1, ((2, -20),))),
        (_engine.KEYFRAME_FAILED, (1, "q"), KeyframeFailed(1, "q")),
        (_engine.EVENTS_DROPPED, (7,), EventsDropped(7)),
    ],
)
def test_each_kind_of_event_has_its_struct(
    kind: int, fields: tuple[object, ...], event: Event
) -> None:
    """Every tuple that the engine sends becomes one typed event."""
    assert decode(kind, fields) == event


def test_an_unknown_event_is_loud() -> None:
    """A kind that we do not know means that binding and shell do not belong together."""
    with pytest.raises(KeyError):
        decode(999, ())


def test_profiles_have_their_iana_numbers() -> None:
    """The module's numbers are those of RFC 5764 and RFC 7714, as ours are."""
    assert {profile: native._PROFILES[profile] for profile in SRTPProfile} == {
        p: p.value for p in SRTPProfile
    }


def test_the_module_belongs_to_the_sources_beside_it() -> None:
    """Python and the build compute the same digest over the same files."""
    check_digest(_engine.SOURCE_DIGEST, native._SOURCES)
    assert source_digest(native._SOURCES) == _engine.SOURCE_DIGEST


def test_a_stale_module_is_refused_in_one_sentence(tmp_path: pathlib.Path) -> None:
    """A changed, new or renamed source makes the digest differ; built files do not."""
    (tmp_path / "Cargo.toml").write_text("[workspace]")
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "lib.rs").write_text("fn main() {}")
    digest = source_digest(tmp_path)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "made.rs").write_text("built")
    (tmp_path / "notes.md").write_text("text")
    check_digest(digest, tmp_path)
    (tmp_path / "core" / "lib.rs").write_text("fn main() { }")
    with pytest.raises(StaleEngineError, match="other Rust sources"):
        check_digest(digest, tmp_path)


def test_an_installed_module_has_no_sources_to_compare(tmp_path: pathlib.Path) -> None:
    """A wheel carries no Rust beside it and is taken as it is."""
    check_digest("anything", tmp_path)


def test_a_taken_port_is_one_clear_line() -> None:
    """The error names the address and the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"UDP 127.0.0.1:{port}"):
            NativeEngine(host="127.0.0.1", port=port)


async def test_a_failing_handler_loses_no_later_event(caplog: pytest.LogCaptureFixture) -> None:
    """An error in the handler is logged with the event's name, and the next event still comes."""
    engine = NativeEngine(host="127.0.0.1", seed=3)
    seen: list[Event] = []

    def handler(event: Event) -> None:
        seen.append(event)
        raise LookupError("our bug")

    engine.start(handler)
    room = engine.create_room()
    for _ in range(3):
        engine.close_transport(engine.create_transport(room)[0])
    await until(
        lambda: len([e for e in seen if isinstance(e, TransportState) and e.state == "closed"]) == 3
    )
    assert "handler of TransportState failed" in caplog.text
    engine.close()


async def test_after_close_nothing_is_delivered() -> None:
    """Events that were still queued when the engine was closed reach nobody."""
    engine = NativeEngine(host="127.0.0.1", seed=4)
    seen: list[Event] = []
    engine.start(seen.append)
    engine.close_transport(engine.create_transport(engine.create_room())[0])
    queued, _, _ = select.select([engine._engine.fileno()], [], [], 10)  # and the loop stands still
    assert queued, "the worker has run: the event waits for the loop"
    engine.close()
    for _ in range(3):
        await asyncio.sleep(0)  # a turn in which the loop looks at its descriptors
    assert seen == []


async def test_a_handler_that_closes_the_engine_hears_no_more() -> None:
    """Also when other events came in the same batch."""
    engine = NativeEngine(host="127.0.0.1", seed=4)
    seen: list[Event] = []

    def handler(event: Event) -> None:
        seen.append(event)
        engine.close()

    engine.start(handler)
    room = engine.create_room()
    for _ in range(3):
        engine.create_transport(room)
    engine.close_room(room)
    engine.stats()  # answered behind the commands: their events wait for the loop
    await until(lambda: bool(seen))
    assert len(seen) == 1


async def test_more_than_one_batch_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst larger than a batch is taken in several turns of the loop, all of it."""
    monkeypatch.setattr(native, "DRAIN_BATCH", 4)
    engine = NativeEngine(host="127.0.0.1", seed=5)
    seen: list[Event] = []
    engine.start(seen.append)
    room = engine.create_room()
    for _ in range(30):
        engine.create_transport(room)
    engine.close_room(room)
    await until(
        lambda: (
            len([e for e in seen if isinstance(e, TransportState) and e.state == "closed"]) == 30
        )
    )
    engine.close()


async def test_a_dead_worker_is_told_once_and_its_descriptor_is_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last event says why, one error is logged, and the loop is not woken any more."""
    engine = BreakableEngine(host="127.0.0.1", seed=6)
    seen: list[Event] = []
    engine.start(seen.append)
    engine.break_worker()
    await until(lambda: bool(seen))
    for _ in range(20):
        await asyncio.sleep(0)
    assert seen == [EngineDied("Invalid argument (os error 22)")]
    errors = [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    assert [record.getMessage() for record in errors] == [
        "the packet engine has died: Invalid argument (os error 22)"
    ]
    assert not asyncio.get_running_loop().remove_reader(engine._engine.fileno())
    engine.close_room(engine.create_room())  # commands go nowhere, and harm nobody
    engine.close()
