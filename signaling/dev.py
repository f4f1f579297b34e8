"""Dev mode: what ``make run`` runs once everything is built.

It makes sure that there is a demo tenant with an appointment that is not over, keeps its links and
key in ``dev.json`` (mode 0600), and tells people where to click. A second start keeps the data, the
key and the links; when the meeting is over, whoever opens the first page or starts again finds those
of another one. Links carry the address they were made for; when the port changes, only that part does.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from crm_core.appointments.video import LinkMaker
from crm_core.demo import create_demo, meet_again
from crm_core.errors import CrmError
from crm_core.meetings.service import MeetingService
from storage.database import Database

from .installation import DEV_FILE, read_dev, write_secret

log: Final = logging.getLogger("sunup.dev")
_LINKS: Final = ("host_url", "guest_url")


class DevFile:
    """``dev.json`` in the data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / DEV_FILE
        self._contents: dict[str, str] = {}
        self._database: Database | None = None
        self._one_at_a_time = asyncio.Lock()

    async def links(self) -> Mapping[str, str]:
        """The contents, for the first page; anew when the meeting is over by now."""
        async with self._one_at_a_time:
            if self._database is not None and not await _usable(self._database, self._contents):
                await self.prepare(self._database, self._contents["url"])
        return self._contents

    async def check(self) -> None:
        """Raise until the links are there."""
        if not self._contents:
            raise RuntimeError("the demo is not made yet")

    async def prepare(self, database: Database, base_url: str) -> Mapping[str, str]:
        """Make sure that the links work; makes the demo when there is none that can be used."""
        kept = read_dev(self._path)
        if kept is None or not await _usable(database, kept):
            kept = await _fresh(database, LinkMaker(base_url, secrets.token_bytes), kept)
        moved = {name: _moved(kept[name], base_url) for name in _LINKS}
        self._contents = {"url": base_url, "api_key": kept["api_key"], **moved}
        write_secret(self._path, json.dumps(self._contents, indent=2) + "\n")
        self._database = database
        return self._contents


async def _fresh(
    database: Database, links: LinkMaker, kept: Mapping[str, str] | None
) -> dict[str, str]:
    """A meeting that can be entered: in the tenant that is there, or else with a new one."""
    if kept is not None:
        try:
            urls = await meet_again(database, links, kept["api_key"])
        except CrmError as error:
            log.warning("another demo tenant is made", extra={"why": error.code})
        else:
            return {
                "api_key": kept["api_key"],
                "host_url": urls.host_url,
                "guest_url": urls.guest_url,
            }
    demo = await create_demo(database, links)
    return {"api_key": demo.api_key, "host_url": demo.host_url, "guest_url": demo.guest_url}


async def _usable(database: Database, kept: Mapping[str, str]) -> bool:
    """Whether both links open the meeting."""
    meetings = MeetingService(database)
    for url in (kept[name] for name in _LINKS):
        parts = urlsplit(url)
        code = parts.path.rpartition("/")[2]
        try:
            await meetings.resolve_link(code, parts.fragment.removeprefix("k="))
        except CrmError:
            return False
    return True


def _moved(url: str, base_url: str) -> str:
    """The same link under another address."""
    base, link = urlsplit(base_url), urlsplit(url)
    return urlunsplit((base.scheme, base.netloc, link.path, link.query, link.fragment))
