"""Every right that the project needs in PostgreSQL, and which of them a role has.

``RULES`` is the list. ``read`` looks up each right for the role of a connection. ``missing`` and
``refusal`` report all missing rights at once.
"""

from nexus_reimport.nexus.rights.held import lock_privileges, read, table_privileges
from nexus_reimport.nexus.rights.lacking import lines, missing, refusal
from nexus_reimport.nexus.rights.rules import RULES, Right, Rule, Task

__all__ = [
    "RULES",
    "Right",
    "Rule",
    "Task",
    "lines",
    "lock_privileges",
    "missing",
    "read",
    "refusal",
    "table_privileges",
]
