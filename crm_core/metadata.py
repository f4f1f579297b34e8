"""Every model, imported once: what Alembic and the tests compare the database with."""

from storage.base import Base

from .appointments import models as appointments
from .changes import models as changes
from .communications import models as communications
from .leads import models as leads
from .meetings import activity, journal_models
from .meetings import models as meetings
from .organizations import models as organizations
from .people import models as people
from .projects import models as projects
from .tenants import models as tenants

MODULES = (
    activity,
    appointments,
    changes,
    communications,
    journal_models,
    leads,
    meetings,
    organizations,
    people,
    projects,
    tenants,
)
metadata = Base.metadata
