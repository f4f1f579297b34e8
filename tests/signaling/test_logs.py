"""What reaches the log and what does not."""

import logging

from aiohttp.http_exceptions import BadStatusLine

from signaling.logs import is_ours


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
