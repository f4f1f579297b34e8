"""What people may write: messages and names.

Text is kept as it came; markup is the reader's to escape. What cannot be text (control characters,
lone surrogates) is refused, because it breaks terminals, exports and databases downstream.
"""

from typing import Final

from .errors import Code, RoomError
from .limits import CHAT_BODY, NAME

_ALLOWED_CONTROLS: Final = {"\n", "\t"}
_JOINERS: Final = "\u200c\u200d"
"""Persian and Indic names are written with them, and families of emoji."""
_WITHOUT_JOINERS: Final = dict.fromkeys(map(ord, _JOINERS))
_EMPTY: Final = dict.fromkeys(
    (
        *map(ord, _JOINERS),
        0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164,
        *range(0xFE00, 0xFE10), 0xFFA0, *range(0xE0100, 0xE01F0),
    )
)  # fmt: skip
"""Printable and of no ink by themselves: the Default_Ignorable_Code_Point of Unicode that are not
format characters, and the empty braille cell."""


def clean(text: str, limit: int = CHAT_BODY) -> str:
    """The body of a message as it is stored.

    Raises:
        RoomError: ``too_large`` over ``limit`` characters, ``bad_request`` when it is blank or has
            control characters or lone surrogates.
    """
    if len(text) > limit:
        raise RoomError(Code.TOO_LARGE, f"at most {limit} characters", limit=limit)
    if not text.strip():
        raise RoomError(Code.BAD_REQUEST, "the text is blank")
    if not text.isprintable() and any(map(_forbidden, text)):
        raise RoomError(Code.BAD_REQUEST, "control characters are not text")
    return text


def fit_name(name: str) -> str:
    """A name from elsewhere as one that `check_name` accepts, as far as that can be.

    Every kind of space becomes the plain one, what does not print is left out, and the end of a
    long one is cut off: whoever is called so in an address book must not be kept out for it.
    """
    plain = "".join(" " if char.isspace() else char for char in name)
    shown = "".join(char for char in plain if char.isprintable() or char in _JOINERS)
    name = shown.strip()[:NAME].rstrip()
    return name if _has_ink(name) else ""


def check_name(name: str) -> None:
    """Refuse a display name that cannot be shown on one line.

    Raises:
        RoomError: ``bad_request`` when nothing of it can be seen, it is over 80 characters, or not
            printable (which includes direction overrides: they make one name look like another).
    """
    printable = name.translate(_WITHOUT_JOINERS).isprintable()
    if not _has_ink(name) or len(name) > NAME or not printable:
        raise RoomError(Code.BAD_REQUEST, f"a name is 1 to {NAME} printable characters")


def _has_ink(name: str) -> bool:
    return bool(name.translate(_EMPTY).strip())


def _forbidden(char: str) -> bool:
    point = ord(char)
    control = point < 0x20 or 0x7F <= point < 0xA0 or 0xD800 <= point < 0xE000
    return control and char not in _ALLOWED_CONTROLS
