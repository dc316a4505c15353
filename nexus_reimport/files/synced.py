"""Folders that a program copies to its maker's servers: no place for patients' data."""

from __future__ import annotations

from pathlib import Path

# The names that these programs give their folder, without case. OneDrive adds the firm's name,
# iCloud's is the one under ~/Library, Google Drive's differs by its version.
_NAMES = {
    "dropbox": "Dropbox",
    "onedrive": "OneDrive",
    "mobile documents": "iCloud Drive",
    "com~apple~clouddocs": "iCloud Drive",
    "icloud drive": "iCloud Drive",
    "icloud~com~apple~clouddocs": "iCloud Drive",
    "google drive": "Google Drive",
    "googledrive": "Google Drive",
    "my drive": "Google Drive",
    "nextcloud": "Nextcloud",
    "owncloud": "ownCloud",
    "box sync": "Box",
    "pcloud drive": "pCloud",
    "cloudstorage": "a cloud drive",
}
_BEGINNINGS = {"onedrive - ": "OneDrive", "dropbox (": "Dropbox", "googledrive-": "Google Drive"}


def by(folder: Path) -> str:
    """The program that copies what lies in ``folder``, by the names of its path; "" if none."""
    for part in folder.parts:
        name = part.casefold()
        if name in _NAMES:
            return _NAMES[name]
        for beginning, program in _BEGINNINGS.items():
            if name.startswith(beginning):
                return program
    return ""
