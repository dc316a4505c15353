"""Reads everything afresh after COMMIT, and asks what the application itself asks.

``verification`` has the steps in their order, ``reader`` how each part of Nexus is read,
``listing`` how S3 is listed beside that.
"""

from nexus_reimport.stages.verify.expected import Copy, Expected, Storage
from nexus_reimport.stages.verify.verification import gather, run

__all__ = ["Copy", "Expected", "Storage", "gather", "run"]
