"""Who somebody is: staff, the person of the link, or a guest by device."""

import pytest

from rooms.policy import IdentityKind, Role
from rooms.text import check_name
from signaling.errors import RequestError
from signaling.identities import enter_command
from signaling.tokens import JoinGrant


def grant(kind="person", role="participant", device="d1", name="Jane", link="l1", lobby=True):
    subject = "" if kind == "guest" else "s1"
    return JoinGrant("t", "r", link, role, kind, subject, device, lobby, name)


def entering(given, name=None, known=None):
    return enter_command(given, name, (known or {}).get)


def test_a_staff_link_is_that_staff_member_on_any_device():
    """The host is one participant, however many devices."""
    one = entering(grant("staff", "host", device="a", lobby=False))
    other = entering(grant("staff", "host", device="b", lobby=False), known={"staff:s1": "a"})
    assert one.identity == other.identity == "staff:s1"
    assert (one.role, one.identity_kind, one.verified, one.lobby) == (
        Role.HOST, IdentityKind.STAFF, True, False,
    )  # fmt: skip


def test_the_first_device_on_a_persons_link_is_that_person():
    """And so is the same device again."""
    for known in ({}, {"person:s1": "d1"}):
        command = entering(grant(), known=known)
        assert (command.identity, command.identity_kind) == ("person:s1", IdentityKind.PERSON)
        assert command.attributes == {"device": "d1"}
        assert command.verified


def test_another_device_on_it_is_another_guest():
    """The same guest each time, and not another device's."""
    known = {"person:s1": "d1"}
    second = entering(grant(device="d2"), known=known)
    assert second.identity.startswith("guest:")
    assert not second.verified
    assert entering(grant(device="d2"), known=known).identity == second.identity
    assert entering(grant(device="d3"), known=known).identity != second.identity


def test_a_link_that_names_nobody_makes_guests():
    """By device and link."""
    one = entering(grant("guest", device="a"))
    assert one.identity_kind is IdentityKind.GUEST
    assert entering(grant("guest", device="a", link="l2")).identity != one.identity


def test_the_typed_name_wins_over_the_links():
    """The link's name is a default."""
    assert entering(grant(), "Janet").name == "Janet"
    assert entering(grant()).name == "Jane"


@pytest.mark.parametrize("name", [None, "  ", "\u3164\u2800"])
def test_without_any_name_nobody_enters(name):
    """The refusal says what is needed."""
    with pytest.raises(RequestError) as refused:
        entering(grant(name=None), name)
    assert refused.value.extras == {"need": "name"}


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("علی\u200cرضا", "علی\u200cرضا"),  # noqa: RUF001 a Persian name
        ("Zoë 👩\u200d👧", "Zoë 👩\u200d👧"),
        ("Jean\u00a0Luc\t Picard", "Jean Luc  Picard"),
        ("Max\u00adimilian\u202e", "Maximilian"),
        ("x" * 79 + " yz", "x" * 79),
    ],
)
def test_nobody_is_kept_out_for_the_name_in_the_address_book(kept, shown):
    """Names of the CRM are made to fit, those of the page as well, as they come from there."""
    assert entering(grant(name=kept)).name == shown
    assert entering(grant(), name=kept).name == shown
    check_name(shown)
