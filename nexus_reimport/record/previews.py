"""What a preview of a rollback keeps for the moment: whole rows, in a private folder of its own.

A preview that was killed leaves its folder; the next one deletes it. The page and a command may
look at the same time: what a process still holds stays.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nexus_reimport.files import private
from nexus_reimport.settings import Settings

FOLDER = ".preview"  # in the environment's private folder
_HELD = ".at_work"  # in each folder: its lock


@contextmanager
def opened(settings: Settings) -> Iterator[Path]:
    """A new folder, which is deleted at the end of the block."""
    place = private.make_folder(settings.private_folder / FOLDER)
    folder = place / secrets.token_hex(4)
    with ExitStack() as held:
        with private.locked_folder(place):  # nobody sees a folder without its lock
            for path in left(settings):
                shutil.rmtree(path, ignore_errors=True)
            private.new_folder(folder)
            held.enter_context(private.lock(folder / _HELD))
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def left(settings: Settings) -> list[Path]:
    """The folders of previews that were killed."""
    folders = sorted((settings.private_folder / FOLDER).glob("*/"))
    return [path for path in folders if not private.is_locked(path / _HELD)]
