"""Tables of what people did in a sitting: chat, polls, questions, breakouts, recordings, consent.

Rows keep their author as a plain participant id with a key, so a purge of a participant leaves the
rest standing. The states are those of ``states.py``.
"""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import (
    Base,
    JsonArray,
    JsonObject,
    TenantRow,
    TenantScoped,
    check,
    ix,
    one_of,
    ref,
    unique,
)

from .states import (
    ASSIGNMENT_METHODS,
    ASSIGNMENT_STATES,
    BREAKOUT_STATES,
    CHAT_KINDS,
    POLL_RESULTS,
    POLL_STATES,
    QUESTION_STATES,
    RECORDING_STATES,
)

MAX_CHAT_BODY = 5_000
MAX_QUESTION = 500


class SittingRow(TenantRow):
    """Mixin of rows made in one sitting."""

    room_id: Mapped[UUID] = ref("video_rooms", on_delete="cascade", index_with=None, sort_order=-20)
    session_no: Mapped[int] = mapped_column(sort_order=-19)
    client_id: Mapped[str | None] = mapped_column(sort_order=-18)
    """The author's idempotency key."""
    rev: Mapped[int] = mapped_column(default=1, sort_order=110)
    created_at: Mapped[datetime] = mapped_column(sort_order=111)


class MeetingChatMessage(SittingRow, Base):
    """A chat message; deleting takes the body away and leaves the row (seed: meetingChatMessages)."""

    __tablename__ = "meeting_chat_messages"

    scope: Mapped[str] = mapped_column(default="main")
    kind: Mapped[str] = mapped_column(default="public")
    order_no: Mapped[int | None]
    """Rises strictly within the scope; lines through the lobby have none."""
    sender_id: Mapped[UUID | None] = ref("video_room_participants")
    # A private message means nothing without the one it was for, so it goes with them.
    recipient_id: Mapped[UUID | None] = ref("video_room_participants", on_delete="cascade")
    body: Mapped[str | None]
    file: Mapped[JsonObject | None]
    reply_to_id: Mapped[UUID | None] = ref("meeting_chat_messages")
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    deleted_by_id: Mapped[UUID | None]

    __table_args__ = (
        unique(
            "room_id",
            "session_no",
            "scope",
            "order_no",
            name="uq_meeting_chat_messages_order",
        ),
        one_of("kind", CHAT_KINDS),
        check("private_has_recipient", "kind <> 'private' OR recipient_id IS NOT NULL"),
        check("public_has_none", "kind <> 'public' OR recipient_id IS NULL"),
        check("body_length", f"length(body) <= {MAX_CHAT_BODY}"),
        check("has_content", "body IS NOT NULL OR file IS NOT NULL OR deleted_at IS NOT NULL"),
    )


class MeetingPoll(SittingRow, Base):
    """A poll; each launch of it is a round (seed: meetingPolls)."""

    __tablename__ = "meeting_polls"

    scope: Mapped[str] = mapped_column(default="main")
    created_by_id: Mapped[UUID | None] = ref("video_room_participants")
    question: Mapped[str]
    options: Mapped[JsonArray]
    """``[{"id", "text", "correct"?}]``, unchanged after the first vote."""
    min_choices: Mapped[int] = mapped_column(default=1)
    max_choices: Mapped[int] = mapped_column(default=1)
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    allow_change: Mapped[bool] = mapped_column(default=True)
    is_locked: Mapped[bool] = mapped_column(default=False)
    results: Mapped[str] = mapped_column(default="hidden")
    status: Mapped[str] = mapped_column(default="draft")
    round: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        ix("room_id", "session_no"),
        one_of("status", POLL_STATES),
        one_of("results", POLL_RESULTS),
    )


class PollRound(TenantScoped, Base):
    """One launch of a poll, from opening to closing."""

    __tablename__ = "poll_rounds"

    poll_id: Mapped[UUID] = ref(
        "meeting_polls", on_delete="cascade", index_with=None, primary_key=True
    )
    round: Mapped[int] = mapped_column(primary_key=True)
    opened_at: Mapped[datetime]
    closes_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by_id: Mapped[UUID | None]
    electorate: Mapped[JsonArray] = mapped_column(default=list)
    """Participant ids that may vote, as of the launch."""


class PollVote(TenantRow, Base):
    """One voter's choice in one round; no participant when the poll is anonymous."""

    __tablename__ = "poll_votes"

    poll_id: Mapped[UUID] = ref("meeting_polls", on_delete="cascade", index_with=None)
    round: Mapped[int]
    voter_key: Mapped[str]
    """The voter's identity, or an HMAC of it under a key that is dropped when the poll closes."""
    participant_id: Mapped[UUID | None] = ref("video_room_participants")
    choices: Mapped[JsonArray]
    voted_at: Mapped[datetime]
    changed_at: Mapped[datetime | None]

    __table_args__ = (unique("poll_id", "round", "voter_key"),)


class MeetingQuestion(SittingRow, Base):
    """A written question of the audience (seed: meetingQuestions)."""

    __tablename__ = "meeting_questions"

    scope: Mapped[str] = mapped_column(default="main")
    asked_by_id: Mapped[UUID | None] = ref("video_room_participants")
    body: Mapped[str]
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(default="open")
    is_pinned: Mapped[bool] = mapped_column(default=False)
    upvote_count: Mapped[int] = mapped_column(default=0)
    answer: Mapped[str | None]
    answered_by_id: Mapped[UUID | None] = ref("video_room_participants")
    answered_at: Mapped[datetime | None]
    dismiss_reason: Mapped[str | None]
    merged_into_id: Mapped[UUID | None] = ref("meeting_questions")
    media_at_ms: Mapped[int | None] = mapped_column(sa.BigInteger())

    __table_args__ = (
        ix("room_id", "session_no", "status", "upvote_count", name="ix_meeting_questions_rank"),
        one_of("status", QUESTION_STATES),
        check("body_length", f"length(body) <= {MAX_QUESTION}"),
    )


class QuestionUpvote(TenantScoped, Base):
    """A voter's support of a question; present or absent, never counted twice."""

    __tablename__ = "question_upvotes"

    question_id: Mapped[UUID] = ref(
        "meeting_questions", on_delete="cascade", index_with=None, primary_key=True
    )
    voter_key: Mapped[str] = mapped_column(primary_key=True)
    participant_id: Mapped[UUID | None] = ref("video_room_participants")
    created_at: Mapped[datetime]


class BreakoutRoom(SittingRow, Base):
    """One room of a set of breakouts (seed: breakoutRooms)."""

    __tablename__ = "breakout_rooms"

    set_no: Mapped[int] = mapped_column(default=1)
    name: Mapped[str]
    position: Mapped[int] = mapped_column(default=0)
    capacity: Mapped[int | None]
    status: Mapped[str] = mapped_column(default="planned")
    opens_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    grace_seconds: Mapped[int] = mapped_column(default=60)
    self_select: Mapped[bool] = mapped_column(default=False)
    may_return: Mapped[bool] = mapped_column(default=True)
    help_requested_at: Mapped[datetime | None]

    __table_args__ = (
        unique("room_id", "session_no", "set_no", "name"),
        one_of("status", BREAKOUT_STATES),
    )


class BreakoutRoomAssignment(TenantRow, Base):
    """Who belongs to which breakout; the current one has no ``released_at``."""

    __tablename__ = "breakout_room_assignments"

    breakout_room_id: Mapped[UUID] = ref("breakout_rooms", on_delete="cascade")
    participant_id: Mapped[UUID] = ref("video_room_participants", on_delete="cascade")
    set_no: Mapped[int] = mapped_column(default=1)
    status: Mapped[str] = mapped_column(default="assigned")
    method: Mapped[str] = mapped_column(default="auto")
    assigned_by_id: Mapped[UUID | None] = ref("video_room_participants")
    assigned_at: Mapped[datetime]
    joined_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]

    __table_args__ = (
        unique(
            "participant_id",
            "set_no",
            where="released_at IS NULL",
            name="uq_breakout_room_assignments_current",
        ),
        one_of("status", ASSIGNMENT_STATES),
        one_of("method", ASSIGNMENT_METHODS),
    )


class VideoRoomRecording(SittingRow, Base):
    """A recording of one scope (seed: videoRoomRecordings)."""

    __tablename__ = "video_room_recordings"

    scope: Mapped[str] = mapped_column(default="main")
    layout: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="requested")
    started_by_id: Mapped[UUID | None] = ref("video_room_participants")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    duration_seconds: Mapped[int | None]
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger())
    consent_policy: Mapped[str | None]
    notice_version: Mapped[str | None]
    files: Mapped[JsonArray] = mapped_column(default=list)
    purpose: Mapped[str] = mapped_column(default="meeting")
    retain_until: Mapped[date | None]
    is_on_hold: Mapped[bool] = mapped_column(default=False)
    """A legal hold: retention does not touch it."""
    communication_id: Mapped[UUID | None] = ref("communications")

    __table_args__ = (
        ix("room_id", "session_no"),
        ix("status"),
        ix("purpose", "started_at"),
        one_of("status", RECORDING_STATES),
        one_of("purpose", ("meeting", "training", "compliance")),
    )


class RecordingSegment(TenantRow, Base):
    """A stretch during which a recording really ran; the indicator is on while one is open."""

    __tablename__ = "recording_segments"

    recording_id: Mapped[UUID] = ref("video_room_recordings", on_delete="cascade")
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    started_by_id: Mapped[UUID | None]
    manifest: Mapped[JsonObject] = mapped_column(default=dict)
    """Per track: file, bytes, SHA-256, first and last RTP time."""


class RecordingConsent(TenantRow, Base):
    """One answer to one recording notice; later answers are later rows."""

    __tablename__ = "recording_consents"

    recording_id: Mapped[UUID] = ref("video_room_recordings", on_delete="cascade")
    participant_id: Mapped[UUID | None] = ref("video_room_participants")
    identity: Mapped[str]
    granted: Mapped[bool]
    notice_version: Mapped[str]
    at: Mapped[datetime]
