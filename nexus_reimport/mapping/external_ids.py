"""Ids of other systems, such as Xero's, that FileMaker and Nexus both hold."""

from __future__ import annotations

from nexus_reimport.settings import Strict


class ExternalId(Strict):
    """A field of FileMaker, and a table of Nexus, that hold the id of one row in another system.

    ``owner`` is the table's column that points at the entity's row, ``column`` holds the id, and
    ``active`` says whether the application uses it.
    """

    entity: str
    field: str
    table: str
    owner: str
    column: str
    active: str = ""
