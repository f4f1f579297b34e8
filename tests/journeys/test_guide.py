"""The guide to REST does what it says, as somebody does who copies it into a shell."""

import asyncio
import json
import os
import re
import sqlite3

import sqlalchemy as sa

from tests.support.server import ROOT

GUIDE = (ROOT / "docs/howto/book-over-rest.md").read_text()
AN_ID = "01a22974-db95-7476-8b07-0623f4e5250a"


def blocks(language):
    """The guide's blocks in this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


async def test_the_guide_to_rest_runs_as_it_stands(sqlite_server, sqlite_url):
    """All blocks in one shell that ends at the first failure; what it prints is what is told."""
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", "set -eo pipefail\n" + "".join(blocks("sh")),
        env={**os.environ, "SUNUP_DATA_DIR": str(sqlite_server.data), "NO_PROXY": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, complaints = await shell.communicate()
    assert (shell.returncode, complaints.decode()) == (0, ""), printed.decode()
    host, guest, problem, answer, start, code, status, *timeline = printed.decode().splitlines()

    room = re.escape(f"{sqlite_server.url}/m/") + r"[\w-]+#k="
    links = [re.match(room, link) for link in (host, guest)]
    assert links[0] and links[1] and links[0][0] == links[1][0] and host != guest

    refused, (told,) = json.loads(problem), map(json.loads, blocks("json"))
    assert answer == "409 application/problem+json"
    assert refused["code"] == "slot_taken"
    varying = {"conflict": dict.fromkeys(refused["conflict"], "…")}
    assert refused | varying == told
    assert start == refused["conflict"]["ends_at"]
    assert (code, status) == ("stale_version", "cancelled")

    for page, kind in zip(timeline, ("appointment", "pipeline_event"), strict=True):
        assert re.findall(r"\{'kind': '(\w+)', 'at'", page) == [kind]

    (statement,) = blocks("sql")
    appointment = refused["conflict"]["appointment_id"]
    assert AN_ID in statement
    file = sa.make_url(sqlite_url).database
    assert file
    with sqlite3.connect(file) as rows:
        assert rows.execute(statement.replace(AN_ID, appointment)).fetchall() == [(status,)]
    rows.close()
