"""Services, appointments, attendees and bookings that may not overlap.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

from storage import overlap, rls, types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    op.create_table(
        "services",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("price", types.Money()),
        sa.Column("currency", sa.Text()),
        sa.Column("buffer_before_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_after_minutes", sa.Integer(), nullable=False),
        sa.Column("slot_minutes", sa.Integer()),
        sa.Column("min_notice_minutes", sa.Integer(), nullable=False),
        sa.Column("max_days_ahead", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("location_kind", sa.Text(), nullable=False),
        sa.Column("requires_confirmation", sa.Boolean(), nullable=False),
        sa.Column("assignment", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_services")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_services_tenant_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_services_tenant_id_external_id")
        ),
        sa.CheckConstraint(
            "assignment IN ('manual', 'round_robin', 'effort_based')",
            name=op.f("ck_services_assignment"),
        ),
        sa.CheckConstraint("duration_minutes > 0", name=op.f("ck_services_duration")),
        sa.CheckConstraint(
            "location_kind IN ('video', 'phone', 'in_person', 'site')",
            name=op.f("ck_services_location_kind"),
        ),
    )
    op.create_table(
        "appointments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid()),
        sa.Column("staff_id", sa.Uuid()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text()),
        sa.Column("starts_at", types.UtcTimestamp(), nullable=False),
        sa.Column("ends_at", types.UtcTimestamp(), nullable=False),
        sa.Column("timezone", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("location_kind", sa.Text(), nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("join_url", sa.Text()),
        sa.Column("video_room_id", sa.Uuid()),
        sa.Column("notes", sa.Text()),
        sa.Column("confirmed_at", types.UtcTimestamp()),
        sa.Column("cancelled_at", types.UtcTimestamp()),
        sa.Column("cancel_reason", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("outcome_evidence", sa.Text()),
        sa.Column("outcome_confirmed_by_id", sa.Uuid()),
        sa.Column("rescheduled_from_id", sa.Uuid()),
        sa.Column("calendar_uid", sa.Text()),
        sa.Column("calendar_sequence", sa.Integer(), nullable=False),
        sa.Column("calendar_event_id", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("person_id", sa.Uuid()),
        sa.Column("organization_id", sa.Uuid()),
        sa.Column("lead_id", sa.Uuid()),
        sa.Column("project_id", sa.Uuid()),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_appointments")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_appointments_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "lead_id"],
            ["leads.tenant_id", "leads.id"],
            name=op.f("fk_appointments_tenant_id_lead_id"),
            ondelete="SET NULL (lead_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "organization_id"],
            ["organizations.tenant_id", "organizations.id"],
            name=op.f("fk_appointments_tenant_id_organization_id"),
            ondelete="SET NULL (organization_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "outcome_confirmed_by_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_appointments_tenant_id_outcome_confirmed_by_id"),
            ondelete="SET NULL (outcome_confirmed_by_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_appointments_tenant_id_person_id"),
            ondelete="SET NULL (person_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_appointments_tenant_id_project_id"),
            ondelete="SET NULL (project_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "rescheduled_from_id"],
            ["appointments.tenant_id", "appointments.id"],
            name=op.f("fk_appointments_tenant_id_rescheduled_from_id"),
            ondelete="SET NULL (rescheduled_from_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "service_id"],
            ["services.tenant_id", "services.id"],
            name=op.f("fk_appointments_tenant_id_service_id"),
            ondelete="SET NULL (service_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_appointments_tenant_id_staff_id"),
            ondelete="SET NULL (staff_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "video_room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_appointments_tenant_id_video_room_id"),
            ondelete="SET NULL (video_room_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id", "calendar_uid", name=op.f("uq_appointments_tenant_id_calendar_uid")
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_appointments_tenant_id_external_id")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_appointments_ends_after_start")),
        sa.CheckConstraint(
            "location_kind IN ('video', 'phone', 'in_person', 'site')",
            name=op.f("ck_appointments_location_kind"),
        ),
        sa.CheckConstraint(
            "outcome IN ('held', 'no_show', 'host_dropped', 'cancelled')",
            name=op.f("ck_appointments_outcome"),
        ),
        sa.CheckConstraint(
            "status IN ('tentative', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')",
            name=op.f("ck_appointments_status"),
        ),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_lead_id_starts_at"),
        "appointments",
        ["tenant_id", "lead_id", "starts_at"],
        postgresql_where=sa.text("lead_id IS NOT NULL"),
        sqlite_where=sa.text("lead_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_organization_id_starts_at"),
        "appointments",
        ["tenant_id", "organization_id", "starts_at"],
        postgresql_where=sa.text("organization_id IS NOT NULL"),
        sqlite_where=sa.text("organization_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_outcome_confirmed_by_id"),
        "appointments",
        ["tenant_id", "outcome_confirmed_by_id"],
        postgresql_where=sa.text("outcome_confirmed_by_id IS NOT NULL"),
        sqlite_where=sa.text("outcome_confirmed_by_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_person_id_starts_at"),
        "appointments",
        ["tenant_id", "person_id", "starts_at"],
        postgresql_where=sa.text("person_id IS NOT NULL"),
        sqlite_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_project_id_starts_at"),
        "appointments",
        ["tenant_id", "project_id", "starts_at"],
        postgresql_where=sa.text("project_id IS NOT NULL"),
        sqlite_where=sa.text("project_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_rescheduled_from_id"),
        "appointments",
        ["tenant_id", "rescheduled_from_id"],
        postgresql_where=sa.text("rescheduled_from_id IS NOT NULL"),
        sqlite_where=sa.text("rescheduled_from_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_service_id"),
        "appointments",
        ["tenant_id", "service_id"],
        postgresql_where=sa.text("service_id IS NOT NULL"),
        sqlite_where=sa.text("service_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_staff_id_starts_at"),
        "appointments",
        ["tenant_id", "staff_id", "starts_at"],
        postgresql_where=sa.text("staff_id IS NOT NULL"),
        sqlite_where=sa.text("staff_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_starts_at"), "appointments", ["tenant_id", "starts_at"]
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_status_starts_at"),
        "appointments",
        ["tenant_id", "status", "starts_at"],
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_updated_at"), "appointments", ["tenant_id", "updated_at"]
    )
    op.create_index(
        op.f("ix_appointments_tenant_id_video_room_id"),
        "appointments",
        ["tenant_id", "video_room_id"],
        postgresql_where=sa.text("video_room_id IS NOT NULL"),
        sqlite_where=sa.text("video_room_id IS NOT NULL"),
    )
    op.create_table(
        "appointment_attendees",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid()),
        sa.Column("staff_id", sa.Uuid()),
        sa.Column("email", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("is_no_show", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_appointment_attendees")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_appointment_attendees_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "appointment_id"],
            ["appointments.tenant_id", "appointments.id"],
            name=op.f("fk_appointment_attendees_tenant_id_appointment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_appointment_attendees_tenant_id_person_id"),
            ondelete="SET NULL (person_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_appointment_attendees_tenant_id_staff_id"),
            ondelete="SET NULL (staff_id)",
        ),
        sa.CheckConstraint(
            "response IN ('pending', 'accepted', 'declined', 'tentative')",
            name=op.f("ck_appointment_attendees_response"),
        ),
        sa.CheckConstraint(
            "role IN ('host', 'cohost', 'guest', 'optional')",
            name=op.f("ck_appointment_attendees_role"),
        ),
    )
    op.create_index(
        op.f("ix_appointment_attendees_tenant_id_appointment_id"),
        "appointment_attendees",
        ["tenant_id", "appointment_id"],
    )
    op.create_index(
        op.f("ix_appointment_attendees_tenant_id_person_id"),
        "appointment_attendees",
        ["tenant_id", "person_id"],
        postgresql_where=sa.text("person_id IS NOT NULL"),
        sqlite_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_appointment_attendees_tenant_id_staff_id"),
        "appointment_attendees",
        ["tenant_id", "staff_id"],
        postgresql_where=sa.text("staff_id IS NOT NULL"),
        sqlite_where=sa.text("staff_id IS NOT NULL"),
    )
    op.create_table(
        "bookings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("appointment_id", sa.Uuid()),
        sa.Column("starts_at", types.UtcTimestamp(), nullable=False),
        sa.Column("ends_at", types.UtcTimestamp(), nullable=False),
        sa.Column("is_blocking", sa.Boolean(), nullable=False),
        sa.Column("expires_at", types.UtcTimestamp()),
        sa.Column("external_ref", sa.Text()),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_bookings")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_bookings_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "appointment_id"],
            ["appointments.tenant_id", "appointments.id"],
            name=op.f("fk_bookings_tenant_id_appointment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_bookings_tenant_id_staff_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_bookings_ends_after_start")),
        sa.CheckConstraint(
            "kind IN ('appointment', 'hold', 'time_off', 'external', 'crew', 'equipment')",
            name=op.f("ck_bookings_kind"),
        ),
    )
    op.create_index(
        op.f("ix_bookings_tenant_id_appointment_id"),
        "bookings",
        ["tenant_id", "appointment_id"],
        postgresql_where=sa.text("appointment_id IS NOT NULL"),
        sqlite_where=sa.text("appointment_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_bookings_tenant_id_expires_at"),
        "bookings",
        ["tenant_id", "expires_at"],
        postgresql_where=sa.text("kind = 'hold'"),
        sqlite_where=sa.text("kind = 'hold'"),
    )
    op.create_index(
        op.f("ix_bookings_tenant_id_staff_id_starts_at"),
        "bookings",
        ["tenant_id", "staff_id", "starts_at"],
    )
    rls.protect("services")
    rls.protect("appointments")
    rls.protect("appointment_attendees")
    rls.protect("bookings")
    overlap.refuse_overlapping_bookings()


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("bookings")
    op.drop_table("appointment_attendees")
    op.drop_table("appointments")
    op.drop_table("services")
