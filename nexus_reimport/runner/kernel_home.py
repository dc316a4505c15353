"""The home of kernels that we start: no start-up files of anybody, no history, our own errors."""

from __future__ import annotations

from pathlib import Path

from nexus_reimport.files import private

_PLACES = ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
_CONFIGURATION = """\
c = get_config()
c.HistoryManager.enabled = False  # what a cell holds or prints is written to no file
c.InteractiveShellApp.extensions = ["nexus_reimport.show.kernel"]
"""


def variables(home: Path) -> dict[str, str]:
    """Environment variables for kernels with ``home``, which is made ready for them."""
    places = {name: str(home / name.lower()) for name in _PLACES}
    profile = private.make_folder(Path(places["IPYTHONDIR"]) / "profile_default")
    private.replace(profile / "ipython_kernel_config.py", _CONFIGURATION.encode())
    # A cell's temporary files may hold rows: they go when this home goes.
    return {**places, "TMPDIR": str(home)}
