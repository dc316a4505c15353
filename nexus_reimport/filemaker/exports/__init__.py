"""Files exported from FileMaker: spreadsheets, comma-separated and tab-separated files."""

from nexus_reimport.filemaker.exports.files import ExportedFiles
from nexus_reimport.filemaker.exports.grid import Known, key

__all__ = ["ExportedFiles", "Known", "key"]
