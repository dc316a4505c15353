"""Kinds of corruption, put one at a time into a copy to see whether verification finds each.

A kind is a small function with a name, one line of what it means, and what it corrupts. It is
written against what the mapping and the catalog say (who is a patient, what hangs on one, what is
carried), never against the names of one installation. It gives how many things it has changed:
where that is none, there is nothing of its sort here. Each module declares the kinds of one sort.
"""

from nexus_reimport.saboteur import (  # noqa: F401 - each declares its kinds
    beside,
    bucket,
    configuration,
    json_values,
    links,
    moments,
    own_rows,
    own_tables,
    planned,
    rows,
    schema,
    values,
)
from nexus_reimport.saboteur.kinds import KINDS, Kind, of_scope
from nexus_reimport.saboteur.scene import Objects, Scene

__all__ = ["KINDS", "Kind", "Objects", "Scene", "of_scope"]
