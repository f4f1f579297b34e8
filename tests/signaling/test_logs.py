"""What reaches the log and what does not."""

import json
import logging

from aiohttp.http_exceptions import BadStatusLine

from signaling.logs import Formatter, is_ours


def record(error):
    """As aiohttp's server makes one for a request that it could not handle."""
    return logging.LogRecord(
        "aiohttp.server", logging.ERROR, "", 0, "Error handling request", (),
        (type(error), error, None),
    )  # fmt: skip


def test_bytes_that_are_no_http_are_no_error_of_ours():
    """A stranger's malformed request line leaves no traceback; a defect of ours does."""
    assert not is_ours(record(BadStatusLine("GET / HTTP/9.9")))
    assert is_ours(record(KeyError("a defect")))


def test_a_clients_text_cannot_pass_for_another_field_or_line():
    """What varies is quoted where it is not plain, in lines for people as in JSON."""
    hostile = 'Web 1.0 ref=1\n2026-01-01 error sunup \u202e"forged"'
    entry = logging.LogRecord("sunup.gateway", logging.INFO, "", 0, "hello", (), None)
    entry.client, entry.count = hostile, 3
    text = Formatter(as_json=False).format(entry)
    assert text.isascii()
    assert "\n" not in text
    assert " ref=" not in text.replace(json.dumps(hostile), "")
    assert text.endswith(f" count=3 client={json.dumps(hostile)}")
    assert json.loads(Formatter(as_json=True).format(entry))["client"] == hostile
    entry.client = "sunup-web/1.0"
    assert Formatter(as_json=False).format(entry).endswith(" client=sunup-web/1.0")
