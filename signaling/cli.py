"""The command line: ``sunup serve | dev | migrate | check-config | create-tenant``.

Everything an operator can do wrong is one line on standard error and exit code 2; our own bugs
are tracebacks, and a packet engine that died ends the server with 1. Settings come from the file
that SUNUP_CONFIG names and from SUNUP_* variables.
"""

import argparse
import asyncio
import gc
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence

from crm_core.errors import CrmError
from crm_core.tenants.service import create_tenant

from . import app, config, logs
from .config import Config
from .dev import DevFile
from .errors import ConfigError
from .installation import DEV_FILE
from .mediahub import MediaHub


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = config.from_environment()
        if options.command == "check-config":
            return _check_config(settings, sample=options.sample, reference=options.reference)
        logs.set_up(settings.log_level, settings.log_format)
        run: Callable[[Config, argparse.Namespace], Coroutine[None, None, int]] = options.run
        return asyncio.run(run(settings, options))
    except (ConfigError, CrmError) as error:
        print(f"sunup: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sunup", description="Video meetings with a CRM core.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the product")
    serve.set_defaults(run=_serve)
    dev = commands.add_parser("dev", help="serve with a demo tenant and print its links")
    dev.set_defaults(run=_dev)
    migrate = commands.add_parser("migrate", help="bring the database to this version's schema")
    migrate.set_defaults(run=_migrate)
    check = commands.add_parser("check-config", help="say whether the settings can be used")
    check.add_argument("--sample", action="store_true", help="print a commented settings file")
    check.add_argument("--reference", action="store_true", help="print the table of settings")
    tenant = commands.add_parser("create-tenant", help="make a tenant and print its API key")
    tenant.add_argument("name")
    tenant.add_argument("--staff-name", required=True, help="the first staff member")
    tenant.add_argument("--staff-email")
    tenant.set_defaults(run=_create_tenant)
    return parser


async def _serve(settings: Config, _options: argparse.Namespace) -> int:
    async with app.serving(settings) as running:
        print(f"Sunup serves on {running.base_url}", flush=True)
        return await _stopped(running.media)


async def _dev(settings: Config, _options: argparse.Namespace) -> int:
    dev_file = DevFile(settings.data)
    async with app.serving(settings, dev=dev_file) as running:
        links = await dev_file.prepare(running.database, running.base_url)
        print(f"Sunup serves on {running.base_url}", flush=True)
        print(f"  host link:  {links['host_url']}")
        print(f"  guest link: {links['guest_url']}")
        print(f"  API key and links are in {settings.data / DEV_FILE}")
        print("Press Ctrl-C to stop.", flush=True)
        return await _stopped(running.media)


async def _migrate(settings: Config, _options: argparse.Namespace) -> int:
    database = await app.open_database(settings)
    await database.close()
    print("the schema is current")
    return 0


async def _create_tenant(settings: Config, options: argparse.Namespace) -> int:
    database = await app.open_database(settings)
    try:
        made = await create_tenant(
            database,
            options.name,
            staff_name=options.staff_name,
            staff_email=options.staff_email,
            random_bytes=secrets.token_bytes,
        )
    finally:
        await database.close()
    print(made.api_key_secret)
    return 0


def _check_config(settings: Config, *, sample: bool, reference: bool) -> int:
    if sample or reference:
        print(config.sample() if sample else config.reference(), end="")
        return 0
    print(f"the settings can be used; the product would be at {settings.effective_base_url()}")
    return 0


async def _stopped(media: MediaHub) -> int:
    """Wait for SIGINT or SIGTERM, or for the engine's death; returns the exit code.

    A server without its engine is of no use to anybody, and only a new process has a new one: it
    ends in good order with 1, and whoever supervises it starts it again.
    """
    gc.collect()
    gc.freeze()  # modules and classes stay: a full collection that walks them stops everybody, 0.1 s
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    told = asyncio.ensure_future(stop.wait())
    died = asyncio.ensure_future(media.died())
    await asyncio.wait((told, died), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    died.cancel()
    return 0 if stop.is_set() else 1
