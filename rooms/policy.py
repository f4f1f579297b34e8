"""What a room is set up to be: roles, sources, policy, features, seats, and the two presets.

Plain frozen structs without behaviour beyond merging a patch. Who may do what with them is in
``rooms.permissions``; how long things take is in ``rooms.timers``.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace


class Role(StrEnum):
    """What a participant may do; see the table in ``rooms.permissions``."""

    HOST = "host"
    COHOST = "cohost"
    PRESENTER = "presenter"
    PARTICIPANT = "participant"
    OBSERVER = "observer"


class Kind(StrEnum):
    """What a participant is. Only persons take seats, wait and are asked for consent."""

    PERSON = "person"
    SERVICE = "service"
    RECORDER = "recorder"
    BOT = "bot"


class IdentityKind(StrEnum):
    """Where an identity comes from; ``service`` is for everything that is not a person."""

    STAFF = "staff"
    PERSON = "person"
    GUEST = "guest"
    SERVICE = "service"


class Source(StrEnum):
    """What can be published."""

    MIC = "mic"
    CAMERA = "camera"
    SCREEN = "screen"


class Right(StrEnum):
    """What a role may be allowed to do; ``rooms.permissions`` has the table."""

    END = "end"
    LOCK = "lock"
    ADMIT = "admit"
    REMOVE = "remove"
    GRANT_HOST = "grant_host"
    GRANT_COHOST = "grant_cohost"
    GRANT_PRESENTER = "grant_presenter"
    MUTE = "mute"
    ASK_UNMUTE = "ask_unmute"
    PUBLISH_MIC = "publish_mic"
    PUBLISH_CAMERA = "publish_camera"
    PUBLISH_SCREEN = "publish_screen"
    SPOTLIGHT = "spotlight"
    RAISE_HAND = "raise_hand"
    LOWER_HANDS = "lower_hands"
    CHAT = "chat"
    CHAT_PRIVATE = "chat_private"
    CHAT_LOBBY = "chat_lobby"
    DELETE_MESSAGES = "delete_messages"
    REACT = "react"
    LAUNCH_POLL = "launch_poll"
    SHARE_RESULTS = "share_results"
    VOTE = "vote"
    ASK_QUESTION = "ask_question"
    UPVOTE = "upvote"
    MODERATE_QUESTIONS = "moderate_questions"
    RUN_BREAKOUTS = "run_breakouts"
    CHOOSE_BREAKOUT = "choose_breakout"
    BROADCAST = "broadcast"
    ASK_HELP = "ask_help"
    RECORD = "record"
    CONSENT = "consent"
    CAPTIONS = "captions"
    READ_ROSTER = "read_roster"
    EXPORT = "export"
    RENAME_SELF = "rename_self"
    LEAVE = "leave"


RoomType = Literal["consultation", "training"]
Lobby = Literal["off", "guests", "walk_ins", "everyone"]
"""Who waits: nobody; all but staff; all but staff and known people once it is live; all but hosts.
Any other value, from a newer writer say, makes everybody wait."""
Chat = Literal["all", "hosts"]
HostGone = Literal["end", "lock", "continue"]


class Features(Struct, frozen=True, forbid_unknown_fields=True):
    """What the room offers at all; a feature that is off refuses its commands to everybody."""

    chat: bool = True
    private: bool = True
    reactions: bool = True
    hands: bool = True
    polls: bool = False
    qa: bool = False
    breakouts: bool = False
    recording: bool = False
    captions: bool = False


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """The ○ of the rights table, and how the room treats arrivals and absent hosts.

    Attributes:
        lobby: Who waits for a host's word.
        before_host: Whether people may be in before the first host.
        mic: Whether participants may publish a microphone without a grant.
        camera: The same for a camera.
        screen: The same for a screen.
        chat: Who may write in public: everybody, or hosts, co-hosts and presenters.
        private: Whom participants may write to in private: everybody, or hosts and co-hosts.
        reactions: Whether participants may react.
        roster: ``full``, or ``count``: participants see a count, the speakers and the hosts.
        history: ``full``, or ``since_join``: newcomers get no older chat.
        host_gone: What happens when no host came back in time.
        cohost_may_end: Whether co-hosts may end the meeting for all.
    """

    lobby: str = "guests"
    before_host: bool = False
    mic: bool = True
    camera: bool = True
    screen: bool = True
    chat: Chat = "all"
    private: Chat = "all"
    reactions: bool = True
    roster: Literal["full", "count"] = "full"
    history: Literal["full", "since_join"] = "full"
    host_gone: HostGone = "lock"
    cohost_may_end: bool = False


class FeaturesPatch(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The features to change; what is absent stays."""

    chat: bool | UnsetType = UNSET
    private: bool | UnsetType = UNSET
    reactions: bool | UnsetType = UNSET
    hands: bool | UnsetType = UNSET
    polls: bool | UnsetType = UNSET
    qa: bool | UnsetType = UNSET
    breakouts: bool | UnsetType = UNSET
    recording: bool | UnsetType = UNSET
    captions: bool | UnsetType = UNSET


class PolicyPatch(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The policy fields to change, and ``features`` as a patch of its own."""

    lobby: Lobby | UnsetType = UNSET
    before_host: bool | UnsetType = UNSET
    mic: bool | UnsetType = UNSET
    camera: bool | UnsetType = UNSET
    screen: bool | UnsetType = UNSET
    chat: Chat | UnsetType = UNSET
    private: Chat | UnsetType = UNSET
    reactions: bool | UnsetType = UNSET
    roster: Literal["full", "count"] | UnsetType = UNSET
    history: Literal["full", "since_join"] | UnsetType = UNSET
    host_gone: HostGone | UnsetType = UNSET
    cohost_may_end: bool | UnsetType = UNSET
    features: FeaturesPatch | UnsetType = UNSET


def merge_policy(policy: Policy, patch: PolicyPatch) -> Policy:
    """``policy`` with the present fields of ``patch``."""
    return replace(policy, **{k: v for k, v in _present(patch).items() if k != "features"})


def merge_features(features: Features, patch: FeaturesPatch) -> Features:
    """``features`` with the present fields of ``patch``."""
    return replace(features, **_present(patch))


def _present(patch: PolicyPatch | FeaturesPatch) -> dict[str, object]:
    return {name: value for name, value in asdict(patch).items() if value is not UNSET}


class RoomConfig(Struct, frozen=True):
    """What the shell loads before the first event of a sitting.

    Attributes:
        id: The room's row.
        code: The room's name in links.
        title: Shown to everybody, also at the door.
        type: The preset it came from.
        session_no: Which sitting of the room this is, from 1.
        scheduled: False for a draft, which lets nobody in.
        starts_at: Room time of the appointment's start, or None for an unscheduled room.
        ends_at: Room time of its end, or None.
        capacity: Seats in all; services take none.
        reserved_seats: How many of them only hosts and co-hosts may take.
        policy: The starting policy.
        features: The starting features.
        opens_before_s: How long before ``starts_at`` people may come to the door.
    """

    id: str
    code: str
    title: str
    type: RoomType
    session_no: Annotated[int, Meta(ge=1)] = 1
    scheduled: bool = True
    starts_at: float | None = None
    ends_at: float | None = None
    capacity: Annotated[int, Meta(ge=1)] = 4
    reserved_seats: Annotated[int, Meta(ge=0)] = 1
    policy: Policy = Policy()
    features: Features = Features()
    opens_before_s: float = 900.0


CONSULTATION_POLICY: Final = Policy()
"""One to one: outsiders wait for the consultant, everything is on, a lost host locks the room."""

TRAINING_POLICY: Final = Policy(
    lobby="walk_ins",
    mic=False,
    camera=False,
    screen=False,
    private="hosts",
    roster="count",
)
"""One to two hundred: registered people get in at the start, walk-ins wait, mics by grant."""

TRAINING_HOST_SEATS: Final = 5

TRAINING_FEATURES: Final = Features(polls=True, qa=True, breakouts=True, recording=True)


def preset(
    type_: RoomType,
    *,
    id: str,  # noqa: A002  # the field's own name
    code: str,
    title: str,
    session_no: int = 1,
    starts_at: float | None = None,
    ends_at: float | None = None,
    seats: int | None = None,
) -> RoomConfig:
    """A room of one of the two types, with that type's policy, features and seats.

    Args:
        type_: The preset.
        id: See ``RoomConfig``; so the other names.
        code: See there.
        title: See there.
        session_no: See there.
        starts_at: See there.
        ends_at: See there.
        seats: How many people fit. A consultation counts its host among them (4: the consultant,
            the customer, two guests); a training adds 5 host seats to them (200).
    """
    consultation = RoomConfig(
        id=id,
        code=code,
        title=title,
        type=type_,
        session_no=session_no,
        starts_at=starts_at,
        ends_at=ends_at,
        capacity=4 if seats is None else seats,
        policy=CONSULTATION_POLICY,
    )
    if type_ == "consultation":
        return consultation
    return replace(
        consultation,
        capacity=(200 if seats is None else seats) + TRAINING_HOST_SEATS,
        reserved_seats=TRAINING_HOST_SEATS,
        policy=TRAINING_POLICY,
        features=TRAINING_FEATURES,
    )
