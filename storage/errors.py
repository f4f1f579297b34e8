"""Named refusals of the storage layer.

Everything a deployer or a caller can cause has a class here with a sentence that says what to
do; our own bugs surface as ordinary exceptions. ``crm_core.errors`` holds the business's own.
"""


class StorageError(Exception):
    """Base of every refusal raised by ``storage``."""


class UnsupportedDatabase(StorageError):
    """The URL names a database, driver or version that Sunup does not run on."""


class DatabaseRefused(StorageError):
    """The database cannot be reached, or refused what a start needs; says why in one line."""


class UnsafeDatabaseRole(StorageError):
    """The pool's role owns tables or bypasses row-level security, so it must serve no request."""


class SchemaOutOfDate(StorageError):
    """The database's schema is not the one this program was written for."""


class TenantMismatch(StorageError):
    """A row of one tenant was about to be written in another tenant's unit of work."""


class UnscopedStatement(StorageError):
    """A statement that the tenant criteria cannot reach was sent through a tenant's session."""


class TenantLeak(StorageError):
    """A pooled connection came back with a tenant still set on it; it was thrown away."""
