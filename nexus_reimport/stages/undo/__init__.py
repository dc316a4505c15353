"""Undoes the latest run, in one transaction, from the undo data that the run itself made.

Every wiped table gets back the rows that it had before the run, and every link that the run fixed
is as it was. What people created or edited since is found by (key, hash) and listed. A person
decides whether it is kept, with everything that it points at, or discarded. A row that a protected
row points at stays in any case: no reference is left dangling.
"""

from nexus_reimport.stages.undo.latest import latest
from nexus_reimport.stages.undo.previewing import preview
from nexus_reimport.stages.undo.request import STEPS, RollbackRequest
from nexus_reimport.stages.undo.rollback import run

__all__ = ["STEPS", "RollbackRequest", "latest", "preview", "run"]
