"""What an installation keeps in its data folder besides the database: keys and its name.

Secret files have mode 0600 and are made on first use; a file that others can read is refused.
"""

import contextlib
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from .errors import ConfigError

TOKEN_KEY: Final = "token.key"  # noqa: S105 a file's name
NODE_NAME: Final = "node.id"
DATABASE_PASSWORD: Final = "database-app.password"  # noqa: S105 a file's name
DEV_FILE: Final = "dev.json"
LOCK: Final = "server.lock"


def ensure_folder(path: Path) -> None:
    """Make the data folder, for this user alone.

    Raises:
        ConfigError: it cannot be made or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data_dir: cannot make {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"data_dir: {path} is not writable")


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep the data folder for one server until the block ends, or its process does.

    Two servers in one folder would be one node to the rooms, and take them from each other.

    Raises:
        ConfigError: another server has it, or it cannot be made or written.
    """
    ensure_folder(folder)
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise ConfigError(f"data_dir: {folder / LOCK}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"data_dir: another server uses {folder}: stop it, or set SUNUP_DATA_DIR"
            ) from None
        yield


def read_or_create(path: Path, size: int) -> bytes:
    """The random bytes kept in `path`, made on first use.

    Raises:
        ConfigError: the file cannot be made or read, others can read it, or it is not ours.
    """
    try:
        if not path.exists():
            write_secret(path, secrets.token_hex(size))
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path} must be readable by its owner alone: chmod 600 {path}")
        data = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        raise ConfigError(f"data_dir: {path}: {error.strerror}") from error
    except ValueError:
        data = b""
    if len(data) != size:
        raise ConfigError(f"{path} is damaged; remove it to have a new one made")
    return data


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_dev(path: Path) -> dict[str, str] | None:
    """The contents of dev.json, or None when there is none that can be used."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    wanted = {"url", "api_key", "host_url", "guest_url"}
    if not isinstance(found, Mapping) or not wanted <= set(found):
        return None
    return {str(name): str(value) for name, value in found.items()}
