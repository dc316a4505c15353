"""JupyterLab's own program, in a process that waits for no import that JupyterLab does not need.

``python -m`` loads the package above first, and with it ``blocked_import``.
"""

from __future__ import annotations

import sys

from jupyterlab import labapp

if __name__ == "__main__":
    sys.exit(labapp.main())
