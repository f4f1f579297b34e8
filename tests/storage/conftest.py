"""Fresh databases of both kinds for every test of this folder."""

from tests.support.databases import (  # noqa: F401  # fixtures work by being imported
    app_url,
    database,
    database_url,
    other_tenant,
    owner_url,
    postgres_database,
    postgres_template,
    sqlite_template,
    sqlite_url,
    tenant,
)
