"""The reference page is what the tables say."""

import pytest

from tests.rooms.reference import BLOCKS, PAGE, rendered


def test_the_page_is_what_the_tables_say():
    """Every generated block of docs/reference/rooms.md equals the code; rewrite it if not."""
    page = PAGE.read_text()
    assert rendered(page) == page, "run: python -m tests.rooms.reference"


def test_a_block_that_is_missing_or_doubled_is_noticed():
    """A page without one of the blocks cannot be taken for a true one."""
    with pytest.raises(ValueError, match="0 blocks named states"):
        rendered("# nothing")
    with pytest.raises(ValueError, match="2 blocks"):
        rendered(PAGE.read_text() * 2)


def test_a_changed_table_changes_the_page():
    """The comparison can fail: a page with one edge less differs."""
    page = PAGE.read_text()
    assert rendered(page.replace("    live --> ended: end\n", "", 1)) == page
    assert set(BLOCKS) == {"states", "rights", "timers", "limits", "events"}
