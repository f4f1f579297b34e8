"""``make test`` fails when anything was left out: tests are planted here that were."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from tests import run_all

PLANTED = """
import pytest

def test_passes():
    pass

@pytest.mark.skip
def test_skipped():
    pass

@pytest.mark.xfail
def test_expected_to_fail():
    raise AssertionError

def test_fails():
    raise AssertionError
"""


def ran(tmp_path, *arguments, planted=PLANTED):
    """What pytest itself says of the planted tests: its output and the cases of its report."""
    folder = tmp_path / "tests" / "rules"
    folder.mkdir(parents=True)
    (folder / "test_planted.py").write_text(planted)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--junitxml=junit.xml", "tests", *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=60, check=False,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take a second to load
    )  # fmt: skip
    return done.stdout, list(ET.parse(tmp_path / "junit.xml").iter("testcase"))


@pytest.fixture
def report():
    return run_all.Report()


def test_what_was_skipped_or_expected_to_fail_is_a_problem(tmp_path, report):
    """Each is named, and only what passed counts."""
    run_all.count(report, "python", *ran(tmp_path))
    assert report.problems == [
        "rules: test_skipped was skipped",
        "rules: test_expected_to_fail was skipped",
    ]
    assert report.counts == {"rules": 1}
    assert run_all.summary(report) == 1


def test_what_passed_and_was_expected_to_fail_is_a_problem(tmp_path, report):
    """Where a mark says so of itself, pytest counts it as passed."""
    planted = "import pytest\n@pytest.mark.xfail(strict=False)\ndef test_passes(): pass\n"
    run_all.count(report, "python", *ran(tmp_path, planted=planted))
    assert report.problems == ["python: tests were expected to fail, and passed"]


@pytest.mark.parametrize(
    ("planted", "problems"),
    [
        ("import nothing_of_that_name", []),  # pytest itself fails
        (
            "import pytest\npytest.importorskip('nothing')",
            ["rules: tests.rules.test_planted was skipped"],
        ),
    ],
)
def test_a_module_that_cannot_be_read_is_no_riddle(tmp_path, report, planted, problems):
    """The complaint is pytest's, or about what was skipped; never about the counting."""
    run_all.count(report, "python", *ran(tmp_path, planted=planted))
    assert report.problems == problems
    assert not report.counts


def test_what_cargo_ignored_is_a_problem(report):
    """Of any of its runs."""
    line = "test result: ok. {} passed; 0 failed; {} ignored; 0 measured; 0 filtered out"
    run_all.count_rust(report, "\n".join(line.format(*each) for each in ((3, 0), (4, 2))))
    assert report.problems == ["rust: 2 tests were ignored"]
    assert report.counts == {"rust": 7}


def test_what_vitest_skipped_or_expected_to_fail_is_a_problem(tmp_path, report):
    """The former it counts apart, the latter not: such a test has passed for it."""
    run_all.count_web(report, {"numPassedTests": 3, "numPendingTests": 1, "numTodoTests": 1})
    assert report.problems == ["web: 2 tests were skipped"]
    assert report.counts == {"web": 3}
    folder = tmp_path / "app" / "tests"
    folder.mkdir(parents=True)
    planted = {
        "a.test.ts": 'test.fails("x", () => {});',
        "b.test.tsx": 'test("x", { fails: true }, () => {});',
        "c.test.ts": 'test("what fails is told", () => {});',
    }
    for name, text in planted.items():
        (folder / name).write_text(text)
    assert [path.name for path in run_all.expected_failures(tmp_path)] == [
        "a.test.ts",
        "b.test.tsx",
    ]
    assert run_all.expected_failures(run_all.ROOT / "web") == []


def test_a_check_that_fails_does_not_count(report):
    """One beside it does, whatever others found."""
    report.problems.append("web: 2 tests were skipped")
    run_all_checks = {"good": "pass", "bad": "raise SystemExit(1)"}
    for name, program in run_all_checks.items():
        report.lint(name, [sys.executable, "-c", program])
    assert report.counts == {"lint": 1}
    assert report.problems[1].startswith("bad: ")


def test_what_was_deselected_is_a_problem(tmp_path, report):
    """A forgotten -k leaves no trace among the cases, only in the output."""
    run_all.count(report, "python", *ran(tmp_path, "-k", "passes"))
    assert report.problems == ["python: tests were deselected"]
    assert report.counts == {"rules": 1}
    assert run_all.summary(report) == 1


def test_a_suite_under_its_floor_is_a_problem(tmp_path, report, monkeypatch):
    """Also one of which nothing ran at all; a suite on its floor is fine."""
    monkeypatch.setattr(run_all, "FLOORS", tmp_path / "floors.json")
    run_all.FLOORS.write_text(json.dumps({"rules": 2, "rooms": 1, "sfu": 1}))
    report.counts.update({"rules": 1, "sfu": 1})
    run_all.floors(report)
    assert report.problems == [
        "rules: 1 tests passed, the floor is 2",
        "rooms: 0 tests passed, the floor is 1",
    ]
    assert run_all.summary(report) == 1


def test_a_run_that_left_nothing_out_is_green(tmp_path, report):
    """The cases above are not problems of the counting itself."""
    output, cases = ran(tmp_path)
    passed = [case for case in cases if case.get("name") == "test_passes"]
    run_all.count(report, "python", output, passed)
    assert (report.problems, report.counts) == ([], {"rules": 1})
    assert run_all.summary(report) == 0
