"""Our packet engine as a media server under load; the other side of `engine_host`."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .engine_host import ABS_SEND_TIME, MID, SSRC, TRANSPORT_CC, VP8
from .machine import ROOT, pinned
from .peers import Association, Keys, Publisher, Serving, check, open_socket

GCM_128 = 0x0007
UFRAG = "load"


class EngineError(RuntimeError):
    """The engine's process ended; it has said why on standard error."""


@asynccontextmanager
async def serving(
    *, address: str, subscribers: int, core: int, repair: bool = False
) -> AsyncIterator[Serving]:
    """An engine with one publisher and so many subscribers.

    Args:
        address: Where its port is bound.
        subscribers: How many receive.
        core: The process is pinned to it.
        repair: Retransmission is negotiated, so that each slot keeps its history.

    Raises:
        EngineError: The process did not start.
    """
    # A blocking Popen: nothing else runs on the harness's loop, and the process must end with it.
    with subprocess.Popen(  # noqa: ASYNC220
        pinned(core, [sys.executable, "-m", "benchmarks.engine_host"]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        request = {"host": address, "subscribers": subscribers, "repair": repair}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = await asyncio.to_thread(process.stdout.readline)
        if not line:
            raise EngineError(f"the engine's process ended with {process.wait()}")
        answer = json.loads(line)
        server = (address, answer["port"])
        try:
            publisher = Publisher(
                _associate(address, server, answer["publisher"]),
                SSRC, VP8, "0", MID, ABS_SEND_TIME, TRANSPORT_CC,
            )  # fmt: skip
            receivers = [_associate(address, server, entry) for entry in answer["subscribers"]]
            yield Serving(process.pid, publisher, receivers)
        finally:
            process.terminate()


def _associate(address: str, server: tuple[str, int], entry: dict[str, str]) -> Association:
    via = open_socket(address)
    username = f"{entry['ufrag']}:{UFRAG}"
    check(via, server, username, entry["password"])
    keys = Keys(
        GCM_128,
        bytes.fromhex(entry["send_key"]), bytes.fromhex(entry["send_salt"]),
        bytes.fromhex(entry["receive_key"]), bytes.fromhex(entry["receive_salt"]),
    )  # fmt: skip
    return Association(via, server, username, entry["password"], keys)
