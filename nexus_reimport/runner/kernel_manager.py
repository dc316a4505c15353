"""A manager of kernels that keeps what they write themselves; loaded when a page is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from traitlets import Unicode

from nexus_reimport import forked
from nexus_reimport.files import private

_LAUNCHER = "ipykernel_launcher"


class QuietManager(AsyncKernelManager):
    """Starts a kernel whose own output, as its last words at a crash, goes to a private file."""

    place = Unicode(help="Where it goes.").tag(config=True)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        if self._is_forked(kernel_cmd, **kw):
            return
        with private.append(Path(self.place)) as file:
            given = {**kw, "stdout": file, "stderr": file}
            await super()._async_launch_kernel(kernel_cmd, **given)

    def _is_forked(self, command: list[str], *, env: dict[str, str], **_: Any) -> bool:
        """Whether the kernel was forked, and the provisioner has its process as one of its own."""
        arguments = command[command.index(_LAUNCHER) :]
        process = forked.kernel(arguments, env, Path(self.place))
        if process is None:
            return False
        own: Any = self.provisioner
        own.process, own.pid, own.pgid = process, process.pid, process.pid
        self._reconcile_connection_info(own.connection_info)
        return True
