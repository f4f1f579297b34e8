"""Every resource of the API, and the table that finds one by name.

Declarations stand in the noun's own folder (``resource.py``); this list is what makes them public.
"""

from collections.abc import Mapping

from ..appointments.resource import APPOINTMENTS, ATTENDEES, SERVICES
from ..communications.resource import COMMUNICATIONS, PARTICIPANTS
from ..leads.resource import CAMPAIGNS, LEADS, PIPELINE_EVENTS, PIPELINE_STAGES, PIPELINES
from ..meetings.resource import INTERVALS, ROOM_PARTICIPANTS, VIDEO_ROOMS
from ..organizations.resource import MEMBERS, ORGANIZATIONS
from ..people.resource import PEOPLE
from ..projects.resource import CONTACTS, PROJECTS
from ..tenants.resource import STAFF, TENANTS, USERS
from .declaration import Resource

RESOURCES: tuple[Resource, ...] = (
    TENANTS,
    USERS,
    STAFF,
    PEOPLE,
    ORGANIZATIONS,
    MEMBERS,
    CAMPAIGNS,
    LEADS,
    PIPELINES,
    PIPELINE_STAGES,
    PIPELINE_EVENTS,
    SERVICES,
    APPOINTMENTS,
    ATTENDEES,
    PROJECTS,
    CONTACTS,
    COMMUNICATIONS,
    PARTICIPANTS,
    VIDEO_ROOMS,
    ROOM_PARTICIPANTS,
    INTERVALS,
)
BY_NAME: Mapping[str, Resource] = {resource.name: resource for resource in RESOURCES}
