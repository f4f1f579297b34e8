"""Chat, polls and questions of a sitting.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from storage import rls, types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    op.create_table(
        "meeting_chat_messages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Text()),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("order_no", sa.Integer()),
        sa.Column("sender_id", sa.Uuid()),
        sa.Column("recipient_id", sa.Uuid()),
        sa.Column("body", sa.Text()),
        sa.Column("file", types.json_type()),
        sa.Column("reply_to_id", sa.Uuid()),
        sa.Column("edited_at", types.UtcTimestamp()),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.Column("deleted_by_id", sa.Uuid()),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_meeting_chat_messages")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_meeting_chat_messages_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recipient_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_meeting_chat_messages_tenant_id_recipient_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "reply_to_id"],
            ["meeting_chat_messages.tenant_id", "meeting_chat_messages.id"],
            name=op.f("fk_meeting_chat_messages_tenant_id_reply_to_id"),
            ondelete="SET NULL (reply_to_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_meeting_chat_messages_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "sender_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_meeting_chat_messages_tenant_id_sender_id"),
            ondelete="SET NULL (sender_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "room_id",
            "session_no",
            "scope",
            "order_no",
            name=op.f("uq_meeting_chat_messages_order"),
        ),
        sa.CheckConstraint(
            "length(body) <= 5000", name=op.f("ck_meeting_chat_messages_body_length")
        ),
        sa.CheckConstraint(
            "body IS NOT NULL OR file IS NOT NULL OR deleted_at IS NOT NULL",
            name=op.f("ck_meeting_chat_messages_has_content"),
        ),
        sa.CheckConstraint(
            "kind IN ('public', 'private', 'lobby', 'system', 'broadcast')",
            name=op.f("ck_meeting_chat_messages_kind"),
        ),
        sa.CheckConstraint(
            "kind <> 'private' OR recipient_id IS NOT NULL",
            name=op.f("ck_meeting_chat_messages_private_has_recipient"),
        ),
        sa.CheckConstraint(
            "kind <> 'public' OR recipient_id IS NULL",
            name=op.f("ck_meeting_chat_messages_public_has_none"),
        ),
    )
    op.create_index(
        op.f("ix_meeting_chat_messages_tenant_id_recipient_id"),
        "meeting_chat_messages",
        ["tenant_id", "recipient_id"],
        postgresql_where=sa.text("recipient_id IS NOT NULL"),
        sqlite_where=sa.text("recipient_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_meeting_chat_messages_tenant_id_reply_to_id"),
        "meeting_chat_messages",
        ["tenant_id", "reply_to_id"],
        postgresql_where=sa.text("reply_to_id IS NOT NULL"),
        sqlite_where=sa.text("reply_to_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_meeting_chat_messages_tenant_id_sender_id"),
        "meeting_chat_messages",
        ["tenant_id", "sender_id"],
        postgresql_where=sa.text("sender_id IS NOT NULL"),
        sqlite_where=sa.text("sender_id IS NOT NULL"),
    )
    op.create_table(
        "meeting_polls",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Text()),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_by_id", sa.Uuid()),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("options", types.json_type(), nullable=False),
        sa.Column("min_choices", sa.Integer(), nullable=False),
        sa.Column("max_choices", sa.Integer(), nullable=False),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False),
        sa.Column("allow_change", sa.Boolean(), nullable=False),
        sa.Column("is_locked", sa.Boolean(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_meeting_polls")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_meeting_polls_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "created_by_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_meeting_polls_tenant_id_created_by_id"),
            ondelete="SET NULL (created_by_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_meeting_polls_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "results IN ('hidden', 'hosts', 'voters', 'all')", name=op.f("ck_meeting_polls_results")
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'live', 'closed', 'deleted')", name=op.f("ck_meeting_polls_status")
        ),
    )
    op.create_index(
        op.f("ix_meeting_polls_tenant_id_created_by_id"),
        "meeting_polls",
        ["tenant_id", "created_by_id"],
        postgresql_where=sa.text("created_by_id IS NOT NULL"),
        sqlite_where=sa.text("created_by_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_meeting_polls_tenant_id_room_id_session_no"),
        "meeting_polls",
        ["tenant_id", "room_id", "session_no"],
    )
    op.create_table(
        "poll_rounds",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("poll_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("opened_at", types.UtcTimestamp(), nullable=False),
        sa.Column("closes_at", types.UtcTimestamp()),
        sa.Column("closed_at", types.UtcTimestamp()),
        sa.Column("closed_by_id", sa.Uuid()),
        sa.Column("electorate", types.json_type(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "poll_id", "round", name=op.f("pk_poll_rounds")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_poll_rounds_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "poll_id"],
            ["meeting_polls.tenant_id", "meeting_polls.id"],
            name=op.f("fk_poll_rounds_tenant_id_poll_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "poll_votes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("poll_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("voter_key", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Uuid()),
        sa.Column("choices", types.json_type(), nullable=False),
        sa.Column("voted_at", types.UtcTimestamp(), nullable=False),
        sa.Column("changed_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_poll_votes")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_poll_votes_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "participant_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_poll_votes_tenant_id_participant_id"),
            ondelete="SET NULL (participant_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "poll_id"],
            ["meeting_polls.tenant_id", "meeting_polls.id"],
            name=op.f("fk_poll_votes_tenant_id_poll_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "poll_id",
            "round",
            "voter_key",
            name=op.f("uq_poll_votes_tenant_id_poll_id_round_voter_key"),
        ),
    )
    op.create_index(
        op.f("ix_poll_votes_tenant_id_participant_id"),
        "poll_votes",
        ["tenant_id", "participant_id"],
        postgresql_where=sa.text("participant_id IS NOT NULL"),
        sqlite_where=sa.text("participant_id IS NOT NULL"),
    )
    op.create_table(
        "meeting_questions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Text()),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("asked_by_id", sa.Uuid()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.Column("upvote_count", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("answered_by_id", sa.Uuid()),
        sa.Column("answered_at", types.UtcTimestamp()),
        sa.Column("dismiss_reason", sa.Text()),
        sa.Column("merged_into_id", sa.Uuid()),
        sa.Column("media_at_ms", sa.BigInteger()),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_meeting_questions")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_meeting_questions_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "answered_by_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_meeting_questions_tenant_id_answered_by_id"),
            ondelete="SET NULL (answered_by_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "asked_by_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_meeting_questions_tenant_id_asked_by_id"),
            ondelete="SET NULL (asked_by_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "merged_into_id"],
            ["meeting_questions.tenant_id", "meeting_questions.id"],
            name=op.f("fk_meeting_questions_tenant_id_merged_into_id"),
            ondelete="SET NULL (merged_into_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_meeting_questions_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("length(body) <= 500", name=op.f("ck_meeting_questions_body_length")),
        sa.CheckConstraint(
            "status IN ('pending', 'open', 'answering', 'answered', 'dismissed', 'withdrawn', 'merged')",
            name=op.f("ck_meeting_questions_status"),
        ),
    )
    op.create_index(
        op.f("ix_meeting_questions_rank"),
        "meeting_questions",
        ["tenant_id", "room_id", "session_no", "status", "upvote_count"],
    )
    op.create_index(
        op.f("ix_meeting_questions_tenant_id_answered_by_id"),
        "meeting_questions",
        ["tenant_id", "answered_by_id"],
        postgresql_where=sa.text("answered_by_id IS NOT NULL"),
        sqlite_where=sa.text("answered_by_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_meeting_questions_tenant_id_asked_by_id"),
        "meeting_questions",
        ["tenant_id", "asked_by_id"],
        postgresql_where=sa.text("asked_by_id IS NOT NULL"),
        sqlite_where=sa.text("asked_by_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_meeting_questions_tenant_id_merged_into_id"),
        "meeting_questions",
        ["tenant_id", "merged_into_id"],
        postgresql_where=sa.text("merged_into_id IS NOT NULL"),
        sqlite_where=sa.text("merged_into_id IS NOT NULL"),
    )
    op.create_table(
        "question_upvotes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("question_id", sa.Uuid(), nullable=False),
        sa.Column("voter_key", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Uuid()),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "question_id", "voter_key", name=op.f("pk_question_upvotes")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_question_upvotes_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "participant_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_question_upvotes_tenant_id_participant_id"),
            ondelete="SET NULL (participant_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "question_id"],
            ["meeting_questions.tenant_id", "meeting_questions.id"],
            name=op.f("fk_question_upvotes_tenant_id_question_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        op.f("ix_question_upvotes_tenant_id_participant_id"),
        "question_upvotes",
        ["tenant_id", "participant_id"],
        postgresql_where=sa.text("participant_id IS NOT NULL"),
        sqlite_where=sa.text("participant_id IS NOT NULL"),
    )
    rls.protect("meeting_chat_messages")
    rls.protect("meeting_polls")
    rls.protect("poll_rounds")
    rls.protect("poll_votes")
    rls.protect("meeting_questions")
    rls.protect("question_upvotes")


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("question_upvotes")
    op.drop_table("meeting_questions")
    op.drop_table("poll_votes")
    op.drop_table("poll_rounds")
    op.drop_table("meeting_polls")
    op.drop_table("meeting_chat_messages")
