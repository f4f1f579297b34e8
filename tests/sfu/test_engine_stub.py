"""The stub of the compiled engine says what the module is, and the module knows its sources."""

import hashlib
import subprocess
import sys
from pathlib import Path

from sfu import _engine

ROOT = Path(__file__).resolve().parents[2]


def test_the_stub_describes_the_module():
    """The stubtest of mypy compares every name and signature of the stub with the module's."""
    answer = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "sfu._engine"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_digest_is_of_the_sources_beside_it():
    """Anyone can compute the digest: path, zero byte, content, zero byte, in order of the paths."""
    engine = ROOT / "engine"
    digest = hashlib.sha256()
    names = {"Cargo.toml", "Cargo.lock"}
    sources = {
        path.relative_to(engine).as_posix(): path
        for path in engine.rglob("*")
        if (path.suffix == ".rs" or path.name in names)
        and "target" not in path.relative_to(engine).parts
    }
    for name in sorted(sources):
        digest.update(name.encode() + b"\0" + sources[name].read_bytes() + b"\0")
    assert digest.hexdigest() == _engine.SOURCE_DIGEST


def test_event_kinds_and_profiles_have_different_numbers():
    """A kind is told from its number alone; profiles have their registered numbers."""
    kinds = [
        _engine.TRANSPORT_STATE,
        _engine.DTLS_RECORD,
        _engine.SLOT_BOUND,
        _engine.SLOT_LAYER,
        _engine.TRACK_LAYER,
        _engine.SPEAKERS,
        _engine.KEYFRAME_FAILED,
        _engine.EVENTS_DROPPED,
    ]
    assert len(set(kinds)) == len(kinds)
    assert _engine.PROFILE_AES128_CM_SHA1_80 == 0x0001
    assert _engine.PROFILE_AEAD_AES_128_GCM == 0x0007
    assert _engine.PROFILE_AEAD_AES_256_GCM == 0x0008
