"""Fresh databases of both kinds for the tests of this folder that store something."""

import crm_core.metadata  # noqa: F401  # every table must be known before the first query
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
