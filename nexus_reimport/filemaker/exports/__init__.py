"""Files that somebody exported from FileMaker: spreadsheets, values between commas or tabs."""

from nexus_reimport.filemaker.exports.files import ExportedFiles
from nexus_reimport.filemaker.exports.grid import Known, key

__all__ = ["ExportedFiles", "Known", "key"]
