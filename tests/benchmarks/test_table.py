"""Tables that a person reads and a file keeps."""

import datetime as dt

from benchmarks.table import Table, record

NOW = dt.datetime(2026, 11, 25, 5, 0, tzinfo=dt.UTC)


def test_columns_stand_under_each_other():
    """Names to the left, numbers to the right, no blanks at the end of a line."""
    table = Table("Title", ("server", "n"), [("one", "5"), ("another", "200")])
    assert table.text().splitlines() == ["Title", "server     n", "one        5", "another  200"]


def test_results_are_only_ever_added(tmp_path):
    """A second run leaves the first one's text as it was, and says when and where it ran."""
    first = record("kind", {"cores": "2"}, "a table", now=NOW, folder=tmp_path).read_text()
    file = record("kind", {"cores": "4"}, "another", now=NOW, folder=tmp_path)
    assert first == "=== 2026-11-25 05:00 UTC\ncores: 2\n\na table\n\n"
    assert file.read_text().startswith(first)
    assert file.read_text().endswith("cores: 4\n\nanother\n\n")
