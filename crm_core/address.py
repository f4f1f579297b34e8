"""A postal address with its place on the map, as columns: it is filtered by and drawn on maps."""

from sqlalchemy.orm import Mapped, mapped_column


class Addressed:
    """Mixin A: where a person or an organization is."""

    address_street: Mapped[str | None] = mapped_column(sort_order=70)
    address_street2: Mapped[str | None] = mapped_column(sort_order=71)
    address_city: Mapped[str | None] = mapped_column(sort_order=72)
    address_region: Mapped[str | None] = mapped_column(sort_order=73)
    address_postal_code: Mapped[str | None] = mapped_column(sort_order=74)
    address_country: Mapped[str | None] = mapped_column(sort_order=75)
    address_latitude: Mapped[float | None] = mapped_column(sort_order=76)
    address_longitude: Mapped[float | None] = mapped_column(sort_order=77)
