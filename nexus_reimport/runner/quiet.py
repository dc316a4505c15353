"""A manager of kernels that keeps what they write themselves; loaded when a page is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from traitlets import Unicode

from nexus_reimport.files import private


class QuietManager(AsyncKernelManager):
    """Starts a kernel whose own output, as its last words at a crash, goes to a private file."""

    place = Unicode(help="Where it goes.").tag(config=True)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        with private.append(Path(self.place)) as file:
            given = {**kw, "stdout": file, "stderr": file}
            await super()._async_launch_kernel(kernel_cmd, **given)
