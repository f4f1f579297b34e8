"""How a migration runs: on the caller's connection, in one transaction, one process at a time.

``storage.schema`` gives the connection; tests that compare the schema with the models also give
``target_metadata``. There is no offline mode and no ini file.
"""

import sqlalchemy as sa
from alembic import context

# Any number that no other program of the database uses for its own advisory lock.
MIGRATION_LOCK = 0x53554E55  # "SUNU"

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # A migration that waits for a busy table gives up early instead of queueing the site behind it.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(sa.text("SET LOCAL lock_timeout = '4s'"))
    connection.execute(sa.text("SET LOCAL statement_timeout = '60s'"))

context.configure(
    connection=connection,
    target_metadata=context.config.attributes.get("target_metadata"),
    include_object=context.config.attributes.get("include_object"),
    compare_type=True,
    render_item=context.config.attributes.get("render_item"),
)
with context.begin_transaction():
    context.run_migrations()
