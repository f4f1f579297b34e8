"""SDP in a frame: as text, or deflated and base64; each form is bounded, and so is what it inflates to."""

import base64
import binascii
import re
import zlib
from typing import Final

from .errors import RequestError
from .messages import MediaOffer, SdpAnswer

MAX_INFLATED: Final = 64 * 1024
_RAW: Final = -zlib.MAX_WBITS
_ORIGIN: Final = re.compile(r"^o=\S+ (\d{1,20}) ", re.MULTILINE)


def offered_sdp(offer: MediaOffer) -> str:
    """The offer's text.

    Raises:
        RequestError: ``bad_request``: neither or both forms, or not what it says; ``too_large``.
    """
    if (offer.sdp is None) == (offer.sdp_z is None):
        raise RequestError("bad_request", "an offer has sdp or sdp_z, not both")
    if offer.sdp is not None:
        return offer.sdp
    inflater = zlib.decompressobj(_RAW)
    try:
        data = inflater.decompress(base64.b64decode(offer.sdp_z or "", validate=True), MAX_INFLATED)
        text = data.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise RequestError("bad_request", "sdp_z is not base64 of deflated text") from error
    if inflater.unconsumed_tail:
        raise RequestError("too_large", "the SDP is over 64 KiB", limit=MAX_INFLATED)
    if not inflater.eof:
        raise RequestError("bad_request", "sdp_z breaks off")
    return text


def answer_like(offer: MediaOffer, sdp: str) -> SdpAnswer:
    """The answer in the form of the offer."""
    if offer.sdp is not None:
        return SdpAnswer(sdp=sdp)
    deflater = zlib.compressobj(wbits=_RAW)
    data = deflater.compress(sdp.encode()) + deflater.flush()
    return SdpAnswer(sdp_z=base64.b64encode(data).decode())


def session_id(sdp: str) -> str:
    """The number in the o-line: the same for all offers of one peer connection (RFC 8829 5.2.1)."""
    found = _ORIGIN.search(sdp)
    return found[1] if found else ""
