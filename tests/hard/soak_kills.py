"""The kill loop at length: only ``python -m tests.soak`` names this file to pytest."""

import os

import pytest

from tests.journeys.conftest import make_server  # noqa: F401 a fixture
from tests.journeys.test_kill import run

KILLS = int(os.environ.get("SUNUP_SOAK_KILLS", "200"))
SEED = int(os.environ.get("SUNUP_HARD_SEED", "1"))


@pytest.mark.timeout(3600)
async def test_nothing_promised_is_lost(make_server):
    """After many kills each promised fact is there once, unchanged, and nothing was made up."""
    ledger, found = await run(make_server, "signaling", seed=SEED, kills=KILLS)
    lost = {key: body for key, body in ledger.promised.items() if found.get(key) != body}
    print(f"kills {KILLS}, asked {len(ledger.asked)}, promised {len(ledger.promised)}, lost {lost}")
    assert lost == {}
    bodies = list(found.values())
    assert len(bodies) == len(set(bodies)), "a request took effect twice"
