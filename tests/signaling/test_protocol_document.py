"""``docs/reference/protocol.md`` says what the code does, in both directions."""

import base64
import pathlib
import re
import zlib
from typing import get_args

import pytest

from rooms import events, policy, snapshot
from sfu.engine import ICECredentials, LayerReason, SlotIds
from sfu.negotiation import AddSlot, Negotiation
from sfu.sdp import Candidate, Fingerprint
from sfu.sdp_parser import MAX_LINES
from sfu.subscriptions import Reason
from signaling import limits, messages
from signaling.connection import _CLOSE_OF_REFUSED_HELLO
from signaling.envelope import CODECS, MAX_FRAME, MAX_MEMBERS
from signaling.errors import CLOSES, FAULTS
from signaling.http import join
from signaling.messages import EVENTS, METHODS, MediaOffer
from signaling.sdptext import MAX_INFLATED, answer_like, offered_sdp, session_id
from tests.support.protocol_tables import read_tables, table

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"
TEXT = DOCUMENT.read_text()
TABLES = read_tables(TEXT)
OBJECTS = (
    join.JoinRequest, join.JoinAnswer, join.RoomSummary, join.LinkSummary,
    messages.HelloReply, messages.ResumeSecret, messages.Resume, messages.Limits,
    messages.TrackLabel, messages.SlotLabel, messages.SlotSize, messages.SdpAnswer,
    events.ParticipantView, events.Waiter,
    snapshot.Snapshot, snapshot.WaitingSnapshot, snapshot.RoomView, snapshot.DoorView,
    snapshot.LobbyView,
    policy.Policy, policy.PolicyPatch, policy.Features, policy.FeaturesPatch,
)  # fmt: skip
STRUCTS = {**METHODS, **EVENTS, **{one.__name__: one for one in OBJECTS}}


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_every_struct_stands_in_the_document_as_it_is(name):
    """Each method, event and object has its section, with exactly its fields and types."""
    assert name in TABLES
    assert TABLES[name] == table(STRUCTS[name])


def test_the_document_names_nothing_that_the_code_does_not_have():
    """Each section of the document is a method, an event or an object of the code."""
    known = {*STRUCTS, "snapshot"}
    named = {name for name in TABLES if "." in name or TABLES[name] or name in known}
    assert named <= known
    sections = set(re.findall(r"^### `([a-z.]+)`", TEXT, re.MULTILINE))
    assert sections == {*METHODS, *EVENTS, "snapshot"}


def test_the_codes_that_close_a_refused_hello_are_told():
    """The sentence names each error whose close code is not 4401, and no other."""
    (told,) = re.findall(
        r"^A refused `hello` is closed (.+?), 4401 for", TEXT, re.MULTILINE | re.DOTALL
    )
    closes = {
        name: int(code)
        for code, names in re.findall(r"(\d{4}) for\s((?:`\w+`(?: and )?)+)", told)
        for name in re.findall(r"\w+", names.replace(" and ", " "))
    }
    assert closes == {name: int(code) for name, code in _CLOSE_OF_REFUSED_HELLO.items()}


def test_the_reasons_of_a_slot_are_those_that_can_come():
    """slot.why says what the engine or the filling of slots says, nothing else."""
    (row,) = re.findall(r"### `slot\.why`.*?\| `reason` \|(.*?)\|\n", TEXT, re.DOTALL)
    words = set(re.findall(r"`([a-z_]+)`", row))
    assert words == {*get_args(LayerReason), *get_args(Reason)}


def test_the_rights_are_those_of_the_rooms():
    """What `can` and `need` may name is listed, in the order of the code."""
    (told,) = re.findall(r"The\srights:\s(.*?)\.\sLater", TEXT, re.DOTALL)
    assert re.findall(r"`([a-z_]+)`", told) == [right.value for right in policy.Right]


def test_the_table_of_errors_is_the_codes_own():
    """Code, HTTP status, retry and meaning, row by row."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \| (\w+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert {code: (int(status), retry, meaning) for code, status, retry, meaning in rows} == {
        code: (fault.status, fault.retry.value, fault.meaning) for code, fault in FAULTS.items()
    }


def test_the_table_of_close_codes_is_the_codes_own():
    """Code, retry, event before it and meaning, row by row."""
    rows = re.findall(r"^\| (\d{4}) \| (\w+) \| (`[a-z.]+`)? ?\| (.+) \|$", TEXT, re.MULTILINE)
    assert {
        int(code): (retry, event.strip("`"), meaning) for code, retry, event, meaning in rows
    } == {
        int(code): (close.retry.value, close.event or "", close.meaning)
        for code, close in CLOSES.items()
    }


def test_the_numbers_of_the_document_are_the_codes_own():
    """Subprotocols and limits that a client relies on."""
    for subprotocol in CODECS:
        assert f"| `{subprotocol}` |" in TEXT
    assert MAX_FRAME == 64 * 1024
    assert f"| {limits.FRAME_BURST:.0f} at once, then {limits.FRAME_RATE:.0f} per second" in TEXT
    assert f"| {limits.HELLO_BURST:.0f} at once, then one per second, counted" in TEXT
    assert limits.HELLO_RATE == 1.0
    assert f"{MAX_MEMBERS} in all arrays and maps" in TEXT
    assert f"{limits.FRAME_FLOOD} refused: close 4429" in TEXT
    assert f"| requests under way | {limits.MAX_IN_FLIGHT}; " in TEXT
    room = f"| to one room {limits.JOIN_BURST:.0f} at once, then {limits.JOIN_RATE:.0f} per second;"
    everywhere = f"{limits.JOIN_ALL_BURST:.0f} at once, then {limits.JOIN_ALL_RATE:.0f} per second;"
    assert f"{room} to all {everywhere} wrong secrets" in TEXT
    assert f"`sdp` and `sdp_z` {messages.MAX_SDP:,} characters each;" in TEXT
    assert f"`sdp_z` {MAX_INFLATED // 1024} KiB inflated; {MAX_LINES:,} lines," in TEXT
    crowd = (
        f"{limits.CROWD_NEGOTIATION_BURST:.0f} at once, then {limits.CROWD_NEGOTIATION_RATE:.0f}"
    )
    assert f"| {limits.NEGOTIATION_BURST:.0f} at once, then one per second; of all together" in TEXT
    assert f"by one link to a room {crowd} per second." in TEXT
    facts = f"{limits.CROWD_FACT_BURST:.0f} at once, then {limits.CROWD_FACT_RATE:.0f} per second"
    own = f"of each participant {limits.OWN_FACT_BURST:.0f} at once, then one per 10 s"
    assert limits.OWN_FACT_RATE == 0.1
    assert f"that change what is kept | {own}; above that" in TEXT
    assert f"by one link to a room {facts}, each" in TEXT
    per = f"{limits.CONNECTION_BURST:.0f} at once, then one per {1 / limits.CONNECTION_RATE:.0f} s"
    assert f"was there before | {per}; beyond: `rate`" in TEXT
    door = f"{limits.DOOR_BURST:.0f} at once, then {limits.DOOR_RATE:.0f} per second"
    assert f"and are not admitted | {door}; likewise" in TEXT


def block(name):
    found = re.search(rf"^```{name}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return found[1].replace("\n", "\r\n")


def test_the_sample_answer_is_what_the_server_answers_to_the_sample_offer():
    """The offer of the document goes through the server's own negotiation."""
    offer, answer = block("sdp-offer"), block("sdp-answer")
    fingerprint = re.search(r"a=fingerprint:sha-256 (\S+)", answer)[1]
    ufrag = re.search(r"a=ice-ufrag:(\S+)", answer)[1]
    password = re.search(r"a=ice-pwd:(\S+)", answer)[1]
    negotiation = Negotiation(
        int(session_id(answer)),
        [Fingerprint("sha-256", fingerprint)],
        [Candidate("1", 1, "udp", 2130706431, "203.0.113.7", 7882, "host")],
    )
    slots = {"3": "audio-0", "4": "audio-1", "5": "audio-2", "6": "video-0"}
    labels = {"0": "mic", "1": "camera", **slots}
    plan = negotiation.receive_offer(offer, labels)
    named = {
        operation.mid: ids
        for operation, ids in zip(
            (one for one in plan.operations if isinstance(one, AddSlot)),
            (
                SlotIds(1, 1001, 0, "Kd8fJq2mX0vTz5Lb"),
                SlotIds(2, 1002, 0, "Zt4bHw9QyLs2Xg6N"),
                SlotIds(3, 1003, 0, "e1MvUo8RkPa5Dj3C"),
                SlotIds(4, 1004, 2004, "pW3nYc7RhE1uGs9A"),
            ),
            strict=True,
        )
    }
    assert negotiation.answer(plan, ICECredentials(ufrag, password), named) == answer


def test_deflated_offers_are_read_as_the_document_says():
    """Base64 of raw deflate in, the same form out."""
    offer = block("sdp-offer")
    deflater = zlib.compressobj(wbits=-15)
    packed = base64.b64encode(deflater.compress(offer.encode()) + deflater.flush()).decode()
    message = MediaOffer(sdp_z=packed)
    assert offered_sdp(message) == offer
    answer = answer_like(message, "v=0\r\n")
    assert zlib.decompress(base64.b64decode(answer.sdp_z), -15) == b"v=0\r\n"
    assert answer_like(MediaOffer(sdp=offer), "v=0\r\n").sdp == "v=0\r\n"
