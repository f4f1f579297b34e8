"""The appointment's life: the table and nothing else decides what may happen."""

import itertools

import pytest

from crm_core.appointments.states import (
    APPOINTMENT_STATES,
    OPEN_STATES,
    TRANSITIONS,
    apply,
)
from crm_core.errors import IllegalTransition

ACTIONS = sorted({action for _, action in TRANSITIONS})


@pytest.mark.parametrize(("status", "action"), list(itertools.product(APPOINTMENT_STATES, ACTIONS)))
def test_every_pair_is_either_in_the_table_or_refused(status, action):
    """`apply` answers the table's state, or refuses by name; there is no third way."""
    if (status, action) in TRANSITIONS:
        assert apply(status, action) == TRANSITIONS[status, action]
        return
    with pytest.raises(IllegalTransition) as refused:
        apply(status, action)
    assert refused.value.field == "status"


def test_what_is_over_stays_over():
    """Nothing leaves completed, cancelled or no_show; every open state can end."""
    assert {status for status, _ in TRANSITIONS} == OPEN_STATES
    for status in OPEN_STATES:
        assert (status, "complete") in TRANSITIONS
        assert (status, "miss") in TRANSITIONS
