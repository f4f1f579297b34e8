"""Janus from the distribution under the same load: the peer to be beaten, measured beside us.

The benchmark starts it with a configuration of its own in a temporary folder: the videoroom
plugin alone, the WebSocket door and media on the address that is given. It leaves
loopback interfaces out of its candidates, hence the private network of `network`.
Everything here follows Janus' public documentation of its API ("Janus API", "VideoRoom").
"""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .dtls import Client
from .machine import free_port, pinned
from .peers import Address, Association, Publisher, Serving, check, open_socket

LIBRARIES = Path("/usr/lib")
MID, ABS_SEND_TIME, TRANSPORT_CC = (1, 2, 3)
EXTENSIONS = {
    MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    ABS_SEND_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    TRANSPORT_CC: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
}
VP8 = 96
SSRC = 0x5755
PASSWORD = "loadloadloadloadloadload"
ROOM = 1
SUBPROTOCOL = Subprotocol("janus-protocol")
START_TIMEOUT = 20
HANDSHAKES = 40


class JanusError(RuntimeError):
    """Janus is missing, did not start or refused a request."""


def version() -> str:
    """The installed version.

    Raises:
        JanusError: It is not installed.
    """
    program = shutil.which("janus")
    if program is None:
        raise JanusError("not installed (the distribution's package is 'janus')")
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+\.\d+\.\d+)", output.stdout + output.stderr)
    return found.group(1) if found else "?"


@asynccontextmanager
async def serving(
    *, address: str, subscribers: int, core: int, event_loops: int = 0
) -> AsyncIterator[Serving]:
    """A Janus with one publisher and so many subscribers.

    Args:
        address: Of a non-loopback interface; media runs there.
        subscribers: How many receive.
        core: The process is pinned to it.
        event_loops: 0 is Janus' default, a thread for each handle.

    Raises:
        JanusError: It is missing, did not start, or refused something.
    """
    version()
    with tempfile.TemporaryDirectory(prefix="sunup-janus-") as name:
        folder = Path(name)
        port = free_port(address)
        _configure(folder, address, port, event_loops)
        with (folder / "log.txt").open("wb") as log:
            # A blocking Popen: nothing else runs on the harness's loop.
            process = subprocess.Popen(  # noqa: ASYNC220
                pinned(core, ["janus", "--configs-folder", str(folder), "--disable-colors"]),
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            session = await _Session.open(f"ws://{address}:{port}", process, folder / "log.txt")
            async with session.socket:
                yield await _populate(session, process.pid, address, subscribers)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _configure(folder: Path, address: str, port: int, event_loops: int) -> None:
    libraries = next(LIBRARIES.glob("*/janus/plugins"), None)
    if libraries is None:
        raise JanusError(f"its plugins are not below {LIBRARIES}")
    loops = f"event_loops = {event_loops}" if event_loops else ""
    (folder / "janus.jcfg").write_text(f"""
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{libraries}"
    transports_folder = "{libraries.parent / "transports"}"
    events_folder = "{libraries.parent / "events"}"
    loggers_folder = "{libraries.parent / "loggers"}"
    debug_level = 3
    session_timeout = 0
    hide_dependencies = true
    {loops}
}}
media: {{ ipv6 = false }}
nat: {{ ice_lite = true, ice_enforce_list = "{address}", full_trickle = false }}
plugins: {{ disable = "{_all_but(libraries, "videoroom")}" }}
transports: {{ disable = "{_all_but(libraries.parent / "transports", "websockets")}" }}
loggers: {{ disable = "libjanus_jsonlog.so" }}
events: {{ broadcast = false }}
""")
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
    (folder / "janus.transport.websockets.jcfg").write_text(f"""
general: {{ json = "compact", ws = true, ws_port = {port}, ws_ip = "{address}", wss = false }}
admin: {{ admin_ws = false, admin_wss = false }}
""")


def _tail(log: Path) -> str:
    return log.read_text()[-2000:]


def _all_but(folder: Path, name: str) -> str:
    files = sorted(folder.glob("*.so"))
    return ",".join(file.name for file in files if name not in file.name)


class _Session:
    """A Janus session on one WebSocket: requests are matched to answers by transaction."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.id = 0
        self._transaction = 0

    @classmethod
    async def open(cls, url: str, process: subprocess.Popen[bytes], log: Path) -> "_Session":
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT
        while True:
            try:
                socket = await connect(url, subprotocols=[SUBPROTOCOL], max_size=None)
                break
            except OSError as error:
                ended = process.poll() is not None
                if ended or asyncio.get_running_loop().time() > deadline:
                    raise JanusError(f"it did not start:\n{_tail(log)}") from error
                await asyncio.sleep(0.05)
        session = cls(socket)
        session.id = (await session.request({"janus": "create"}))["data"]["id"]
        return session

    async def request(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer; "ack" is not yet one."""
        self._transaction += 1
        transaction = str(self._transaction)
        if self.id:
            body["session_id"] = self.id
        await self.socket.send(json.dumps({**body, "transaction": transaction}))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.recv(), 10))
            if answer.get("transaction") != transaction or answer["janus"] == "ack":
                continue
            failure = answer.get("error") or answer.get("plugindata", {}).get("data", {}).get(
                "error"
            )
            if failure:
                raise JanusError(f"it refused {body.get('body', body)}: {failure}")
            return dict(answer)

    async def handle(self) -> "_Handle":
        """Attach to the videoroom plugin."""
        answer = await self.request({"janus": "attach", "plugin": "janus.plugin.videoroom"})
        return _Handle(self, answer["data"]["id"])


@dataclass(frozen=True)
class _Handle:
    session: _Session
    id: int

    async def message(self, body: dict[str, Any], jsep: dict[str, Any] | None = None) -> Any:
        """Send a message to the plugin; (what the plugin says, its SDP or "")."""
        request: dict[str, Any] = {"janus": "message", "handle_id": self.id, "body": body}
        if jsep:
            request["jsep"] = {**jsep, "trickle": False}
        answer = await self.session.request(request)
        return answer["plugindata"]["data"], answer.get("jsep", {}).get("sdp", "")


async def _populate(session: _Session, pid: int, address: str, subscribers: int) -> Serving:
    client = Client()
    host = await session.handle()
    await host.message(
        {
            "request": "create", "room": ROOM, "publishers": 1, "videocodec": "vp8",
            "bitrate": 0, "permanent": False, "notify_joining": False,
        }
    )  # fmt: skip
    joined, _ = await host.message(
        {"request": "join", "ptype": "publisher", "room": ROOM, "display": "load"}
    )
    via = open_socket(address)
    offer = _sdp(via.getsockname(), client.fingerprint, "0", "sendonly", str(SSRC))
    _, answer = await host.message({"request": "publish"}, {"type": "offer", "sdp": offer})
    published = await asyncio.to_thread(_associate, client, via, answer, "0")
    # Most of a handshake is waiting for Janus' own timers, so many go on at once.
    pool = ThreadPoolExecutor(max_workers=HANDSHAKES)
    loop = asyncio.get_running_loop()
    receivers = []
    for number in range(1, subscribers + 1):
        handle = await session.handle()
        _, offered = await handle.message(
            {
                "request": "join", "ptype": "subscriber", "room": ROOM,
                "streams": [{"feed": joined["id"]}],
            }
        )  # fmt: skip
        via = open_socket(address)
        mid = _line(offered, r"a=mid:(\S+)")
        ufrag = str(number)
        answered = _sdp(via.getsockname(), client.fingerprint, ufrag, "recvonly", "", mid)
        await handle.message({"request": "start"}, {"type": "answer", "sdp": answered})
        receivers.append(loop.run_in_executor(pool, _associate, client, via, offered, ufrag))
    associations = await asyncio.gather(*receivers)
    pool.shutdown()
    publisher = Publisher(published, SSRC, VP8, "0", MID, ABS_SEND_TIME, TRANSPORT_CC)
    return Serving(pid, publisher, associations)


def _associate(client: Client, via: Any, sdp: str, number: str) -> Association:
    """Check the candidate in Janus' SDP, then the DTLS handshake with it."""
    ufrag, password = _line(sdp, r"a=ice-ufrag:(\S+)"), _line(sdp, r"a=ice-pwd:(\S+)")
    host, port = _line(sdp, r"a=candidate:\S+ 1 udp \d+ (\S+ \d+) typ host").split()
    server: Address = (host, int(port))
    username = f"{ufrag}:{_ufrag(number)}"

    def nominate() -> None:
        check(via, server, username, password, PASSWORD)

    # A check counts only after Janus' own has been answered, so it is repeated, as a browser
    # repeats it, until DTLS is answered.
    nominate()
    keys = client.handshake(via, server, own_password=PASSWORD, when_silent=nominate)
    return Association(via, server, username, password, keys)


def _line(sdp: str, pattern: str) -> str:
    found = re.search(pattern, sdp)
    if not found:
        raise JanusError(f"no {pattern} in its SDP:\n{sdp}")
    return found.group(1)


def _ufrag(number: str) -> str:
    return f"load{number}"


def _sdp(
    local: Address, fingerprint: str, number: str, direction: str, ssrc: str, mid: str = "0"
) -> str:
    """Our side, always active in DTLS; loss repair is left out on purpose (see W1)."""
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {mid}",
        f"m=video 9 UDP/TLS/RTP/SAVPF {VP8}",
        f"c=IN IP4 {local[0]}",
        f"a=ice-ufrag:{_ufrag(number)}",
        f"a=ice-pwd:{PASSWORD}",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:active",
        f"a=mid:{mid}",
        f"a={direction}",
        "a=rtcp-mux",
        f"a=rtpmap:{VP8} VP8/90000",
        f"a=rtcp-fb:{VP8} transport-cc",
        f"a=rtcp-fb:{VP8} nack pli",
        *(f"a=extmap:{number} {uri}" for number, uri in EXTENSIONS.items()),
        *([f"a=ssrc:{ssrc} cname:load"] if ssrc else []),
        f"a=candidate:1 1 udp 2130706431 {local[0]} {local[1]} typ host",
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"
