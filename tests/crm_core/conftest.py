"""What every test of the CRM needs."""

import crm_core.metadata  # noqa: F401  # every table must be known before the first query
