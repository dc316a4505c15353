"""FileMaker's Data API, read only: it reads layouts, with every field that is on them."""

from nexus_reimport.filemaker.data_api.client import DataApi

__all__ = ["DataApi"]
