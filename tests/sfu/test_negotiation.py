"""Offers in, answers and engine operations out."""

import random
from dataclasses import replace

import pytest
from aiortc.sdp import SessionDescription as AiortcDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.codecs import AUDIO_LEVEL_URI, MID_URI, RID_URI
from sfu.engine import ICECredentials
from sfu.errors import NegotiationError, SDPError
from sfu.negotiation import (
    AddSlot,
    AddTrack,
    RemoveSlot,
    RemoveTrack,
    RestartICE,
)
from sfu.sdp import Fingerprint, SessionDescription
from sfu.sdp_parser import parse_sdp

from .endpoint import CANDIDATE, FINGERPRINT, OFFER, Endpoint, change
from .offers import DEFAULT, TRIMMED, labels


@pytest.fixture
def endpoint() -> Endpoint:
    """A fresh negotiation."""
    return Endpoint()


def test_the_first_offer_asks_for_its_tracks_and_slots(endpoint: Endpoint) -> None:
    """Labels become tracks and slots with the offer's mids, ids and layers, in its order."""
    endpoint.offer(OFFER, labels(8))
    tracks = [op for op in endpoint.operations if isinstance(op, AddTrack)]
    slots = [op for op in endpoint.operations if isinstance(op, AddSlot)]
    assert [str(op.label) for op in tracks] == ["mic", "camera", "screen"]
    assert [op.params.kind for op in tracks] == ["audio", "video", "screen"]
    assert tracks[0].params.ssrcs == ((OFFER.media[0].ssrcs[0][0], 0),)
    assert tracks[1].params.rids == ("f", "h", "q")
    assert not tracks[1].params.ssrcs
    assert len(tracks[2].params.ssrcs) == 1
    assert tracks[2].params.ssrcs[0][1] != 0, "the screen's RTX SSRC comes from its FID group"
    assert {e.uri for e in tracks[0].params.extensions} >= {MID_URI, AUDIO_LEVEL_URI}
    assert RID_URI in {e.uri for e in tracks[1].params.extensions}
    assert [str(op.label) for op in slots] == list(labels(8).values())[3:]
    assert [op.params.auto for op in slots] == [True] * 3 + [False] * 9
    assert RID_URI not in {e.uri for op in slots for e in op.params.extensions}


def test_the_answer_is_the_recipe(endpoint: Endpoint) -> None:
    """ICE-lite, passive, one transport in the tagged section, simulcast in the client's order."""
    answer = endpoint.offer(OFFER, labels(8))
    first, camera, *rest = answer.media
    assert answer.ice_lite
    assert answer.extmap_allow_mixed
    assert answer.bundle == OFFER.bundle
    assert (first.setup, first.fingerprints, first.candidates) == (
        "passive",
        (FINGERPRINT,),
        (CANDIDATE,),
    )
    assert first.end_of_candidates
    assert not any(m.ice_ufrag or m.candidates or m.fingerprints for m in answer.media[1:])
    assert [m.direction for m in answer.media] == ["recvonly"] * 3 + ["sendonly"] * 12
    assert camera.simulcast_recv == ("f", "h", "q")
    assert [(rid.id, rid.direction) for rid in camera.rids] == [
        ("f", "recv"),
        ("h", "recv"),
        ("q", "recv"),
    ]
    assert set(camera.payloads[0].feedback) == {"transport-cc", "ccm fir", "nack", "nack pli"}
    assert all(m.rtcp_mux for m in answer.media)
    assert not any(payload.feedback for m in rest[1:] for payload in m.payloads)
    assert "a=msid-semantic: WMS *" in endpoint.text


def test_answers_stay_within_the_size_that_was_measured(endpoint: Endpoint) -> None:
    """A VP8 slot costs about 400 bytes and the answer at V = 25 at most 14 kB."""
    slim = []
    for media in OFFER.media:
        kept = tuple(p for p in media.payloads if p.name != "H264" and p.parameter("apt") != "108")
        slim.append(replace(media, payloads=kept, formats=tuple(str(p.payload_type) for p in kept)))
    extra = [replace(slim[-2], mid=str(number)) for number in range(15, 32)]
    media = [*slim, *extra]
    offer = replace(OFFER, media=tuple(media), bundle=tuple(m.mid for m in media))
    named = labels(8) | {m.mid: f"video-{n}" for n, m in enumerate(extra, 8)}
    endpoint.offer(offer, named)
    assert len(endpoint.text) <= 14_000
    assert len(endpoint.text.split("m=video")[-1]) <= 410


def test_ids_and_payload_types_are_the_offers(endpoint: Endpoint) -> None:
    """Every payload type, extension id and mid of the answer stands in the offer's section."""
    answer = endpoint.offer(OFFER, labels(8))
    for ours, theirs in zip(answer.media, OFFER.media, strict=True):
        assert ours.mid == theirs.mid
        assert set(ours.extensions) <= set(theirs.extensions)
        assert {(p.payload_type, p.name, p.parameters) for p in ours.payloads} <= {
            (p.payload_type, p.name, p.parameters) for p in theirs.payloads
        }


def test_aiortc_reads_the_answer(endpoint: Endpoint) -> None:
    """An independent parser finds in the answer what we put there."""
    endpoint.offer(DEFAULT, labels(2))
    answer = AiortcDescription.parse(endpoint.text)
    assert answer.group[0].items == [str(mid) for mid in range(10)]
    assert answer.media[0].ice.iceLite
    assert answer.media[0].dtls.role == "server"
    assert answer.media[3].direction == "sendonly"
    assert answer.media[6].ssrc_group[0].semantic == "FID"
    assert answer.media[-1].sctpCapabilities.maxMessageSize == 65536
    assert answer.media[-1].sctp_port == 5000


def test_a_second_offer_that_says_the_same_asks_for_nothing(endpoint: Endpoint) -> None:
    """A re-offer without news gives the same answer but for its version."""
    endpoint.offer(OFFER, labels(8))
    first = endpoint.text
    endpoint.offer(OFFER, labels(8))
    assert endpoint.operations == ()
    assert endpoint.text == first.replace("o=- 7 1 ", "o=- 7 2 ")


def test_growing_adds_slots_and_leaves_the_old_ones_alone(endpoint: Endpoint) -> None:
    """A later offer with more sections adds only those; SSRCs, msids and order stay."""
    before = endpoint.offer(OFFER, labels(8))
    extra = [replace(OFFER.media[-2], mid=f"g{number}") for number in range(4)]
    grown = replace(
        OFFER, media=OFFER.media + tuple(extra), bundle=OFFER.bundle + tuple(m.mid for m in extra)
    )
    named = labels(8) | {m.mid: f"video-{n}" for n, m in enumerate(extra, 8)}
    after = endpoint.offer(grown, named)
    assert [str(op.label) for op in endpoint.operations] == [f"video-{n}" for n in range(8, 12)]
    assert after.media[: len(before.media)] == before.media


def test_sections_in_any_order_are_answered_in_that_order(endpoint: Endpoint) -> None:
    """The client may put slots before tracks."""
    media = list(OFFER.media)
    random.Random(5).shuffle(media)
    answer = endpoint.offer(replace(OFFER, media=tuple(media)), labels(8))
    assert [m.mid for m in answer.media] == [m.mid for m in media]
    assert next(m for m in answer.media if m.candidates).mid == OFFER.bundle[0]


def test_a_changed_ufrag_restarts_ice(endpoint: Endpoint) -> None:
    """New remote credentials ask for new ones of ours; tracks and slots live on."""
    endpoint.offer(OFFER, labels(8))
    media = tuple(replace(m, ice_ufrag="wxyz", ice_pwd="z" * 24) for m in OFFER.media)
    answer = endpoint.offer(replace(OFFER, media=media), labels(8))
    assert endpoint.operations == (RestartICE(),)
    assert answer.media[0].ice_ufrag == "ufrag1"


def test_going_inactive_ends_a_track_and_coming_back_makes_a_new_one(endpoint: Endpoint) -> None:
    """An inactive section stays in place, answered inactive, and can be used again."""
    endpoint.offer(OFFER, labels(8))
    answer = endpoint.offer(change(OFFER, "2", direction="inactive"), labels(8))
    assert [(type(op), op.mid) for op in endpoint.operations if not isinstance(op, RestartICE)] == [
        (RemoveTrack, "2")
    ]
    assert answer.media[2].direction == "inactive"
    assert answer.media[2].port == 9
    endpoint.offer(OFFER, labels(8))
    assert [type(op) for op in endpoint.operations] == [AddTrack]


def test_a_stopped_section_ends_its_slot(endpoint: Endpoint) -> None:
    """Port 0 in a later offer removes the slot and is answered by port 0."""
    endpoint.offer(OFFER, labels(8))
    stopped = change(OFFER, "6", port=0)
    stopped = replace(stopped, bundle=tuple(mid for mid in OFFER.bundle if mid != "6"))
    answer = endpoint.offer(stopped, labels(8))
    assert [type(op) for op in endpoint.operations] == [RemoveSlot]
    assert answer.media[6].port == 0
    assert endpoint.refused == {}


def test_a_stopped_place_may_be_used_by_a_new_section(endpoint: Endpoint) -> None:
    """Browsers put a new mid where an old section was stopped (RFC 8829 section 5.2.2)."""
    endpoint.offer(OFFER, labels(8))
    without = tuple(mid for mid in OFFER.bundle if mid != "6")
    endpoint.offer(replace(change(OFFER, "6", port=0), bundle=without), labels(8))
    reused = replace(change(OFFER, "6", mid="new"), bundle=(*without, "new"))
    named = {mid: name for mid, name in labels(8).items() if mid != "6"} | {"new": "video-0"}
    answer = endpoint.offer(reused, named)
    assert [str(op.label) for op in endpoint.operations] == ["video-0"]
    assert answer.media[6].mid == "new"


def test_a_client_that_insists_on_being_the_dtls_server_makes_us_active(endpoint: Endpoint) -> None:
    """The DTLS role follows the offer; a re-offer keeps it."""
    media = tuple(replace(m, setup="passive") for m in OFFER.media)
    answer = endpoint.offer(replace(OFFER, media=media), labels(8))
    assert answer.media[0].setup == "active"
    again = endpoint.offer(OFFER, labels(8))
    assert again.media[0].setup == "active"


def _everywhere(**fields: object) -> SessionDescription:
    return replace(OFFER, media=tuple(replace(m, **fields) for m in OFFER.media))


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (_everywhere(ice_ufrag=""), "ICE"),
        (_everywhere(fingerprints=()), "fingerprint"),
        (_everywhere(fingerprints=(Fingerprint("sha-1", ":".join(["AB"] * 20)),)), "fingerprint"),
        (_everywhere(setup="holdconn"), "holdconn"),
        (_everywhere(rtcp_mux=False), "no m-section"),
    ],
)
def test_offers_without_a_usable_transport_are_refused(
    endpoint: Endpoint, offer: SessionDescription, words: str
) -> None:
    """Missing credentials or fingerprints are signaling errors, never a half-made connection."""
    with pytest.raises(NegotiationError, match=words):
        endpoint.offer(offer, {})


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (replace(OFFER, media=OFFER.media[:-1], bundle=OFFER.bundle[:-1]), "fewer"),
        (replace(OFFER, media=(OFFER.media[1], OFFER.media[0], *OFFER.media[2:])), "where it was"),
        (
            _everywhere(fingerprints=(replace(FINGERPRINT, value=":".join(["CD"] * 32)),)),
            "fingerprint changed",
        ),
        (_everywhere(setup="passive"), "role changed"),
    ],
)
def test_later_offers_that_break_the_session_are_refused(
    endpoint: Endpoint, offer: SessionDescription, words: str
) -> None:
    """What RFC 3264 and RFC 8842 forbid is refused and the old state stands."""
    endpoint.offer(OFFER, labels(8))
    known = {mid: name for mid, name in labels(8).items() if mid in offer.bundle}
    with pytest.raises(NegotiationError, match=words):
        endpoint.offer(offer, known)
    endpoint.offer(OFFER, labels(8))
    assert endpoint.operations == ()


def test_an_abandoned_plan_changes_nothing(endpoint: Endpoint) -> None:
    """A plan that is never answered leaves the negotiation as it was."""
    endpoint.negotiation.receive_offer(TRIMMED, labels(8))
    endpoint.offer(OFFER, labels(8))
    assert len(endpoint.operations) == 15


def test_a_plan_that_is_too_late_is_our_own_bug(endpoint: Endpoint) -> None:
    """Answering with a plan from before another answer is refused loudly."""
    plan = endpoint.negotiation.receive_offer(TRIMMED, labels(8))
    endpoint.offer(OFFER, labels(8))
    with pytest.raises(RuntimeError, match="another answer"):
        endpoint.negotiation.answer(plan, ICECredentials("u", "p"), {})


def test_an_agreed_offer_keeps_none_of_its_formats(endpoint: Endpoint) -> None:
    """For the life of a call of 200 people: only what the next offer is compared with."""
    endpoint.offer(OFFER, labels(8))
    kept = [section.offered for section in endpoint.negotiation._sections]
    assert [(media.mid, media.port) for media in kept] == [(m.mid, m.port) for m in OFFER.media]
    assert not any(media.payloads or media.formats or media.extensions for media in kept)
    endpoint.offer(OFFER, labels(8))
    assert not endpoint.operations


def test_data_channels_are_answered_when_offered(endpoint: Endpoint) -> None:
    """The application section is accepted with our message size; its port is handed out."""
    plan = endpoint.negotiation.receive_offer(DEFAULT, labels(2))
    assert plan.remote.sctp_port == 5000
    assert plan.remote.max_message_size == 262144
    assert endpoint.negotiation.receive_offer(TRIMMED, labels(8)).remote.sctp_port == 0


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damaged_offers_are_answered_or_refused_by_name(rng: random.Random) -> None:
    """Deleted, doubled and swapped lines give an answer that parses, or a typed error."""
    endpoint = Endpoint()
    lines = rng.choice([DEFAULT, TRIMMED]).split("\r\n")
    for _ in range(rng.randint(1, 6)):
        index, other = rng.randrange(1, len(lines)), rng.randrange(1, len(lines))
        choice = rng.randrange(3)
        if choice == 0:
            del lines[index]
        elif choice == 1:
            lines.insert(index, lines[other])
        else:
            lines[index], lines[other] = lines[other], lines[index]
    try:
        answer = endpoint.offer("\r\n".join(lines))
    except (SDPError, NegotiationError) as error:
        assert str(error)
    else:
        assert len(answer.media) == len(parse_sdp("\r\n".join(lines)).media)
