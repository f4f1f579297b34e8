"""The infrastructure under crm_core: database, tenancy, unit of work, migrations, bus.

It knows no noun of the business.
"""
