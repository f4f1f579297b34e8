"""The kill loop at length: only ``python -m tests.soak`` names this file to pytest."""

import os

import pytest

from tests.journeys.conftest import make_server  # noqa: F401 a fixture
from tests.journeys.test_kill import run

KILLS = int(os.environ.get("SUNUP_SOAK_KILLS", "200"))
SEED = int(os.environ.get("SUNUP_HARD_SEED", "1"))


PER_ROOM = 100
"""Kills of one room: it shows its newest thousand messages, and each kill leaves about five."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(-(-KILLS // PER_ROOM)))
async def test_nothing_promised_is_lost(make_server, part):
    """After many kills each promised fact is there once, unchanged, and nothing was made up."""
    kills = min(PER_ROOM, KILLS - part * PER_ROOM)
    ledger, found = await run(make_server, "signaling", seed=SEED + part, kills=kills)
    lost = {key: body for key, body in ledger.promised.items() if found.get(key) != body}
    print(f"kills {kills}, asked {len(ledger.asked)}, promised {len(ledger.promised)}, lost {lost}")
    assert lost == {}
    bodies = list(found.values())
    assert len(bodies) == len(set(bodies)), "a request took effect twice"
