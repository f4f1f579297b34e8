"""The composition root: builds every part of the server, starts them in order, stops them in reverse.

Parts get what they need as arguments and know nothing of each other's making; this is the only
place where they meet. `serving` is the whole product as a context manager.
"""

import asyncio
import contextlib
import errno
import functools
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from aiohttp import web
from websockets.asyncio.server import Server

import crm_core.metadata  # noqa: F401 every table must be known before the first query
import storage.schema
from crm_core.meetings.service import MeetingService
from sfu.errors import MediaError, PortTakenError
from storage.bus import Bus, BusError, MemoryBus, open_bus
from storage.database import Database
from storage.errors import StorageError
from storage.turns import Turns

from . import installation
from .actor import RoomActor
from .clock import Clock, SystemClock, TextIds
from .conductor import Conductor
from .config import Config
from .dev import DevFile
from .errors import ConfigError
from .feed import BusFeed, Feed, LocalFeed
from .gateway import Gateway
from .http import rest
from .http.dev import DevLinks
from .http.health import Health, Metrics, SharedCheck
from .http.join import JoinEndpoint
from .http.pages import Pages
from .http.routes import add_shell_routes, address_of, make_application, websocket_url
from .journal import CrmJournal, find_overdue, open_leases
from .limits import AnonymousSockets
from .links import CrmLinks
from .media import RoomMedia
from .mediahub import MediaHub
from .port import become_websocket, bind, descriptors, listen
from .roomkey import RoomKey
from .tokens import KEY_BYTES, ResumeSecrets, Tokens
from .visitors import Proxies

log: Final = logging.getLogger("sunup.app")
STOP_WITHIN: Final = 3.0
"""Seconds that clients have to end their requests and to answer the goodbye at the end."""
KEEP_ALIVE: Final = 75.0
"""Seconds that an HTTP connection may rest; above what reverse proxies keep theirs (60 s)."""
ANONYMOUS: Final = 4000
"""Sockets over which nobody has said hello, where the system allows so many."""
WEB_DIST: Final = Path(__file__).resolve().parent.parent / "web" / "dist"


class Running(NamedTuple):
    """A server that serves."""

    port: int
    base_url: str
    database: Database
    conductor: Conductor
    media: MediaHub


@contextlib.asynccontextmanager
async def serving(config: Config, *, dev: DevFile | None = None) -> AsyncIterator[Running]:
    """Serve until the block ends.

    Args:
        config: the operator's settings.
        dev: in dev mode, the demo's links for the first page; ready when they are made.

    Raises:
        ConfigError: one line: what is taken, missing or wrong.
    """
    async with contextlib.AsyncExitStack() as stack:
        bound = stack.enter_context(_bind(config))
        stack.enter_context(installation.hold(config.data))
        port = bound.getsockname()[1]
        base_url = config.effective_base_url(port)
        clock = SystemClock()
        database = await open_database(config)
        stack.push_async_callback(database.close)
        bus = open_bus(config.redis_url or None)
        stack.push_async_callback(bus.close)
        await _look_at(bus)
        tokens = Tokens(
            installation.read_or_create(config.data / installation.TOKEN_KEY, KEY_BYTES)
        )
        node = installation.read_or_create(config.data / installation.NODE_NAME, 8).hex()
        meetings = MeetingService(database)
        leases = open_leases(meetings)
        stack.push_async_callback(leases.close)
        links = CrmLinks(meetings, clock)

        hub = open_media(config, clock)
        hub.start()
        stack.push_async_callback(hub.close)

        def make_actor(key: RoomKey, gone: Callable[[RoomActor], None]) -> RoomActor:
            return RoomActor(
                key,
                CrmJournal(meetings, leases, UUID(key.tenant_id), UUID(key.room_id), node),
                clock=clock,
                ids=TextIds(),
                secrets=ResumeSecrets(tokens, clock),
                turns=hub.turns,
                open_feed=feed_opener(bus),
                make_adapter=functools.partial(RoomMedia, hub, key.tenant_id),
                gone=gone,
            )

        conductor = Conductor(
            tokens,
            clock,
            make_actor,
            links.check,
            functools.partial(find_overdue, meetings),
            idle_after=float(config.max_room_idle_s),
        )
        gateway = Gateway(
            conductor,
            clock,
            origins=config.allowed_origins,
        )
        sockets = AnonymousSockets(total=min(ANONYMOUS, descriptors() // 4))
        proxies = Proxies(config.trusted_proxies)
        beginning = Turns(pauses=True)
        application = make_application(proxies, config.allowed_origins, beginning)
        rest_turns = rest.RestTurns(database)
        rest.add_routes(application, turns=rest_turns, base_url=base_url, address_of=address_of)
        add_shell_routes(
            application,
            join=JoinEndpoint(
                links,
                tokens,
                clock,
                websocket_url=websocket_url(base_url),
                address_of=address_of,
            ),
            pages=Pages(Path(config.web_dir) if config.web_dir else WEB_DIST, base_url),
            health=Health(
                {
                    "database": SharedCheck(database.check_writable, clock.now),
                    "engine": hub.check,
                    **({} if dev is None else {"demo": dev.check}),
                }
            ),
            metrics=Metrics(
                {
                    "signaling": lambda: {
                        "connections": len(gateway.clients),
                        "rooms": len(conductor.actors),
                        "anonymous_sockets": sockets.count,
                        "anonymous_dropped_total": sockets.dropped,
                        "shed_frames_total": gateway.shed,
                        "requests_waiting": beginning.waiting(),
                        "turns_waiting": hub.turns.waiting(),
                        "rest_waiting": rest_turns.waiting(),
                        "writes_waiting": database.waiting(),
                    },
                    "engine": hub.engine.stats,
                }
            ),
            dev=None if dev is None else DevLinks(dev.links, base_url),
            upgrade=become_websocket,
        )
        runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=STOP_WITHIN,
            keepalive_timeout=KEEP_ALIVE,
            auto_decompress=False,  # a megabyte of it may be a gigabyte of work
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        if runner.server is None:
            raise RuntimeError("aiohttp made no server")
        server = await listen(
            bound,
            websocket=gateway.handle,
            accept=gateway.accept,
            http=runner.server,
            sockets=sockets,
            proxies=proxies,
            turns=beginning,
            tls=_tls(config),
        )
        stack.push_async_callback(_stop_listening, server, gateway)
        await conductor.start()
        stack.push_async_callback(conductor.close)
        yield Running(port, base_url, database, conductor, hub)


async def _look_at(bus: Bus) -> None:
    """Say that Redis does not answer, before the first room does: meetings go on without it."""
    try:
        await bus.ping()
    except BusError as error:
        log.warning("redis does not answer, rooms pass it by", extra={"why": str(error)})


async def open_database(config: Config) -> Database:
    """The database, migrated if its URL may, and checked.

    Raises:
        ConfigError: one line: what is wrong with it.
    """
    installation.ensure_folder(config.data)
    try:
        password = storage.schema.read_or_create_password(
            config.data / installation.DATABASE_PASSWORD
        )
    except OSError as error:
        raise ConfigError(f"data_dir: {error.filename}: {error.strerror}") from error
    try:
        url = await storage.schema.prepare(config.effective_database_url, app_password=password)
        database = Database(url)
        try:
            await database.check()
        except StorageError:
            await database.close()
            raise
    except StorageError as error:
        raise ConfigError(f"database_url: {error}") from error
    return database


def open_media(config: Config, clock: Clock) -> MediaHub:
    """The packet engine on its port.

    Raises:
        ConfigError: one line: the port is taken, or the engine is not built for this code.
    """
    try:
        # Here and not above: commands that serve nothing work without the compiled engine.
        from sfu.native import NativeEngine  # noqa: PLC0415

        engine = NativeEngine(host=config.media_host, port=config.media_port)
        return MediaHub(engine, config.effective_announced_addresses(), clock)
    except PortTakenError as error:
        raise ConfigError(f"{error}: stop what uses it, or set SUNUP_MEDIA_PORT") from error
    except MediaError as error:
        raise ConfigError(str(error)) from error
    except ImportError as error:
        raise ConfigError(f"the packet engine is not built ({error}): run make run") from error
    except ValueError as error:
        raise ConfigError(f"announced_addresses: {error}") from error


def feed_opener(bus: Bus) -> Callable[[RoomKey, int], Awaitable[Feed]]:
    """How rooms get their feeds: through the bus when it reaches other processes."""

    async def open_feed(key: RoomKey, epoch: int) -> Feed:
        if isinstance(bus, MemoryBus):
            return LocalFeed()
        feed = BusFeed(bus, f"{key.tenant_id}/{key.room_id}", epoch)
        await feed.start()
        return feed

    return open_feed


def _bind(config: Config) -> socket.socket:
    try:
        return bind(config.host, config.port)
    except OSError as error:
        number = error.errno or 0
        if number < 0 or number == errno.EADDRNOTAVAIL:  # negative: of a name look-up
            why = os.strerror(number) if number > 0 else "no such address"
            raise ConfigError(f"host: {config.host}: {why}; set SUNUP_HOST") from error
        why = os.strerror(number)
        raise ConfigError(
            f"port {config.port} on {config.host} cannot be used ({why}):"
            " stop what uses it, or set SUNUP_PORT"
        ) from error


def _tls(config: Config) -> ssl.SSLContext | None:
    if not config.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls_certificate: {error}") from error
    return context


async def _stop_listening(server: Server, gateway: Gateway) -> None:
    server.close()
    try:
        async with asyncio.timeout(STOP_WITHIN):
            await server.wait_closed()
    except TimeoutError:
        gateway.abort()
        await server.wait_closed()
