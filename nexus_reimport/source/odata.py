"""FileMaker's OData, read only."""

from __future__ import annotations

from nexus_reimport.source.data_api import DataApi


class OData(DataApi):
    """Stands here until the client does."""
