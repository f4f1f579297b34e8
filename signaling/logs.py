"""Log lines with an allow-list of fields: what is not on it is not written.

A message is fixed text; what varies goes into ``extra`` under a name of `FIELDS`. Tokens, link
secrets, SDP, names and chat bodies have no field, so they cannot be logged by a slip. Lines are for
people, or one JSON object each.
"""

import json
import logging
import re
import secrets
import sys
from datetime import UTC, datetime
from typing import Final

from aiohttp.http import HttpProcessingError

from .errors import RequestError

FIELDS: Final = (
    "room_id",
    "tenant_id",
    "participant",
    "method",
    "code",
    "close_code",
    "why",
    "seconds",
    "count",
    "port",
    "ref",
    "node",
    "epoch",
    "client",
)
_PLAIN: Final = re.compile(r"[!-~]*\Z", re.ASCII)
"""Text that can stand in a line as it is: no space, no control character, nothing to misread."""
_NOISY: Final = ("websockets", "aiohttp.access", "asyncio", "alembic", "aioice", "aiortc")


class Formatter(logging.Formatter):
    """Text or JSON; the allow-list in both."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One record, one line (tracebacks of our own bugs follow it in text)."""
        fields = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            line = {
                "at": at,
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": message,
                **fields,
            }
            if trace:
                line["trace"] = trace
            return json.dumps(line, default=str)
        shown = "".join(f" {name}={_shown(value)}" for name, value in fields.items())
        text = f"{at} {record.levelname.lower():7} {record.name} {message}{shown}"
        return f"{text}\n{trace}" if trace else text


def _shown(value: object) -> str:
    """A field's value, quoted where a client's text could pass for another field or line."""
    text = str(value)
    return text if _PLAIN.match(text) and '"' not in text else json.dumps(text)


def is_ours(record: logging.LogRecord) -> bool:
    """Whether a record of the HTTP server is about this server, not about bytes that are no HTTP.

    aiohttp logs a malformed request with a traceback at level error; whoever reaches the port
    could fill the log with those. The sender gets a 400 all the same.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def set_up(level: str, log_format: str) -> None:
    """Send this process's logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(as_json=log_format == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sunup").setLevel(level.upper())
    logging.getLogger("aiohttp.server").addFilter(is_ours)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def internal_error(what: str, error: BaseException) -> RequestError:
    """Log our own bug with its traceback, and make the refusal that names the line."""
    reference = secrets.token_hex(6)
    logging.getLogger("sunup.bug").error(
        "%s failed", what, exc_info=error, extra={"ref": reference}
    )
    return RequestError("internal", ref=reference)
