"""Files that somebody exported from FileMaker: spreadsheets, values between commas or tabs."""

from nexus_reimport.source.exports.files import ExportedFiles
from nexus_reimport.source.exports.grid import Known, key

__all__ = ["ExportedFiles", "Known", "key"]
