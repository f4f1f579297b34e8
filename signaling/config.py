"""The operator's settings: one documented file, and ``SUNUP_*`` variables that win over it.

`load` reads a TOML file and the environment into a frozen `Config`; nothing is read at import.
An unknown key or variable is refused with its name, a wrong value with its path. Every field
carries its own description: `deploy/config.sample.toml` and `docs/reference/config.md` are
printed from here (`sunup check-config --sample`), and a test compares them.
"""

import difflib
import os
import socket
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .errors import ConfigError
from .visitors import Proxies

PREFIX: Final = "SUNUP_"
_NOT_SETTINGS: Final = ("SUNUP_CONFIG", "SUNUP_TEST_")
"""Variables that begin with the prefix and mean something else."""

Port = Annotated[int, Meta(ge=0, le=65535)]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set; each field is a key of the file and a variable."""

    host: Annotated[
        str, Meta(description="Address of the public HTTP port; 0.0.0.0 serves every interface.")
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="The public port: pages, REST and WebSocket. 0 takes a free one.",
        ),
    ] = 8080
    base_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s?#]+)?\Z",
            description="What links begin with, as visitors see it, without a path. "
            "Empty: http:// with host and port.",
        ),
    ] = ""
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins of other sites whose pages may join, exactly as browsers send "
            "them. The own origin is always allowed."
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses or networks of reverse proxies whose X-Forwarded-For is believed; "
            "limits per address then count the visitor, not the proxy."
        ),
    ] = ()
    tls_certificate: Annotated[
        str, Meta(description="PEM file with the certificate chain; empty: plain HTTP.")
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file with the private key.")] = ""
    media_host: Annotated[
        str, Meta(description='Address of the media UDP port; "::" serves IPv4 and IPv6.')
    ] = "0.0.0.0"
    media_port: Annotated[
        int, Meta(ge=0, le=65535, description="The media UDP port. 0 takes a free one.")
    ] = 7882
    announced_addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="IP addresses at which visitors reach the media port, best first. "
            "Empty: the loopback address and the address of the default route."
        ),
    ] = ()
    data_dir: Annotated[
        str, Meta(min_length=1, description="Folder for keys and the SQLite file.")
    ] = "var"
    database_url: Annotated[
        str,
        Meta(
            description="postgresql://... (15 or newer) or sqlite:///path. "
            "Empty: an SQLite file in data_dir."
        ),
    ] = ""
    redis_url: Annotated[
        str,
        Meta(
            pattern=r"^((rediss?|unix)://.+)?\Z",
            description="redis://host:port/db for rooms' feeds between processes. "
            "Empty: in process.",
        ),
    ] = ""
    web_dir: Annotated[
        str, Meta(description="Folder of the built web pages. Empty: web/dist beside the code.")
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="What is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="Lines for people, or one JSON object a line.")
    ] = "text"
    max_room_idle_s: Annotated[
        int,
        Meta(
            ge=1,
            le=86400,
            description="Seconds after which a room without connections leaves memory; "
            "its facts stay in the database.",
        ),
    ] = 300

    @property
    def data(self) -> Path:
        """`data_dir` as a path."""
        return Path(self.data_dir)

    @property
    def effective_database_url(self) -> str:
        """`database_url`, or the SQLite file in the data folder."""
        return self.database_url or f"sqlite:///{(self.data / 'sunup.sqlite3').resolve()}"

    def effective_base_url(self, port: int | None = None) -> str:
        """`base_url`, or where the own port is reached; `port` when 0 was asked for."""
        if self.base_url:
            return self.base_url
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        scheme = "https" if self.tls_certificate else "http"
        bracketed = f"[{host}]" if ":" in host else host
        return f"{scheme}://{bracketed}:{self.port if port is None else port}"

    def effective_announced_addresses(self) -> tuple[str, ...]:
        """`announced_addresses`, or what this machine can tell about itself."""
        if self.announced_addresses:
            return self.announced_addresses
        if self.media_host not in {"0.0.0.0", "::"}:
            return (self.media_host,)
        route = default_route_address()
        return ("127.0.0.1",) if route is None else ("127.0.0.1", route)


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """The settings from a file (none: only defaults) and ``SUNUP_*`` variables.

    Raises:
        ConfigError: one line naming the key, the file or variable, and what it may be.
    """
    settings = {} if path is None else _read(path)
    known = _hints()
    for key in settings:
        if key not in known:
            raise ConfigError(f"{path}: unknown key {key!r}{_did_you_mean(key, repr)}")
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name.startswith(_NOT_SETTINGS):
            continue
        key = name.removeprefix(PREFIX).lower()
        if key not in known:
            raise ConfigError(f"unknown variable {name}{_did_you_mean(key, _variable)}")
        settings[key] = _from_text(key, text)
    try:
        config = msgspec.convert(settings, Config, strict=True)
    except msgspec.ValidationError as error:
        wrong, _, place = str(error).rpartition(" - at ")
        key = place.strip("`$.").partition("[")[0]
        name = PREFIX + key.upper()
        raise ConfigError(f"{name if name in environment else key}: {wrong}") from error
    if bool(config.tls_certificate) != bool(config.tls_key):
        raise ConfigError("tls_certificate and tls_key must be set together")
    try:
        Proxies(config.trusted_proxies)
    except ValueError as error:
        raise ConfigError(f"trusted_proxies: {error}") from error
    return config


def from_environment() -> Config:
    """`load` with the file that ``SUNUP_CONFIG`` names, if any, and this process's variables."""
    path = os.environ.get("SUNUP_CONFIG")
    return load(Path(path) if path else None, os.environ)


def sample() -> str:
    """The commented sample file: every key with its description and default."""
    lines = [
        "# Settings of Sunup. Every key may also be given as an environment variable:",
        "# SUNUP_ and the key in capitals, lists with commas. A variable wins over the file.",
        "# Use it with SUNUP_CONFIG=/path/to/config.toml.",
    ]
    for key, (description, default) in describe().items():
        lines += ["", *(f"# {line}" for line in _wrap(description)), f"#{key} = {_toml(default)}"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The table of `docs/reference/config.md`."""
    lines = ["| key | variable | default | meaning |", "|---|---|---|---|"]
    for key, (description, default) in describe().items():
        shown = f"`{_toml(default)}`"
        lines.append(f"| `{key}` | `{PREFIX}{key.upper()}` | {shown} | {description} |")
    return "\n".join(lines) + "\n"


def describe() -> dict[str, tuple[str, Any]]:
    """Key → (description, default), in the order of the file."""
    defaults = Config()
    found: dict[str, tuple[str, Any]] = {}
    for key, hint in _hints().items():
        meta = next(m for m in hint.__metadata__ if isinstance(m, Meta))
        found[key] = (meta.description or "", getattr(defaults, key))
    return found


def default_route_address() -> str | None:
    """The address this machine would send from; asks the routing table, sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: reserved for documentation
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _hints() -> dict[str, Any]:
    return {
        field: hint
        for field, hint in get_type_hints(Config, include_extras=True).items()
        if field in Config.__struct_fields__
    }


def _from_text(key: str, text: str) -> Any:
    base = get_args(_hints()[key])[0]
    if get_origin(base) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if base is int:
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{_variable(key)} must be a number, not {text!r}") from None
    return text


def _variable(key: str) -> str:
    return f"{PREFIX}{key.upper()}"


def _did_you_mean(key: str, written: Callable[[str], str]) -> str:
    close = difflib.get_close_matches(key, _hints(), n=1)
    return f"; did you mean {written(close[0])}?" if close else ""


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(member) for member in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower()


def _wrap(text: str, width: int = 96) -> list[str]:

    return textwrap.wrap(text, width)
