"""Organizations and their members as resources."""

from ..resources.declaration import Include, Resource
from .models import SENTIMENTS, Organization, OrganizationMember

ORGANIZATIONS = Resource(
    Organization,
    "organization",
    "Customers: households, companies, nonprofits, public bodies",
    long_texts=frozenset({"notes"}),
    choices={"overall_sentiment": SENTIMENTS},
    children=(
        Include("members", "organization_members", "id", "organization_id"),
        Include("projects", "projects", "id", "organization_id"),
    ),
)
MEMBERS = Resource(
    OrganizationMember,
    "organization_member",
    "Who belongs to an organization, and as what",
    fixed=frozenset({"organization_id", "person_id"}),
)
