"""Who can read an environment's records and private files: its owner alone, asked at every start.

What we write is closed as it is made, whatever the umask. Editors and copies make files of their
own: in a folder that is closed nobody can have read them, and they are closed too.
"""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from nexus_reimport import wording
from nexus_reimport.errors import RecordError
from nexus_reimport.files import private
from nexus_reimport.settings import Settings


def require_private(settings: Settings) -> None:
    """Stop where other users can read, or own, what lies in the environment's two folders.

    Raises:
        RecordError: they can; it says how to end that. Nothing was started.
    """
    for place in (settings.folders.runs, settings.folders.private):
        folder = place / settings.name
        exposed = private.exposed(folder)
        if exposed.foreign:
            raise _refused(
                settings, folder, exposed.foreign, "not yours", 'sudo chown -R "$(id -un)"'
            )
        if folder in exposed.readable:
            raise _refused(
                settings, folder, exposed.readable, "open to other users", "chmod -R go-rwx"
            )
        for path in exposed.readable:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & private.FOLDER)


def _refused(
    settings: Settings, folder: Path, paths: tuple[Path, ...], what: str, command: str
) -> RecordError:
    count = wording.amount(len(paths), "file or folder is", "files or folders are")
    return RecordError(
        f"{count} {what}, the first of them {paths[0]}",
        where=f"environment {settings.name}, {folder}",
        state="nothing was started",
        next=f"{command} {shlex.quote(str(folder))}",
    )
