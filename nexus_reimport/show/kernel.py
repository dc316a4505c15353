"""In a kernel: an error of this package that leaves a cell is displayed as a page of its own.

It is told by its class itself. Its traceback, like that of any other error, is not kept in a
record. A group of errors is reported as one, like any other.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from nexus_reimport.errors import ReimportError, is_ours


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython when the kernel starts."""
    shell.set_custom_exc((ReimportError, BaseExceptionGroup), _display)


def _display(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> list[str]:
    lines: list[str]
    if isinstance(error, ReimportError) and is_ours(error):
        from nexus_reimport.show.failure import displayed

        data, metadata = displayed(error)
        shell.display_pub.publish(data=data, metadata=metadata)
        lines = [f"{kind.__name__}: {error}"]
    elif isinstance(error, BaseExceptionGroup):
        # IPython prints a group, and reports no error: a page would go on as if there was none.
        lines = "".join(traceback.format_exception(error)).splitlines()
    else:
        lines = shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=tb_offset)
    shell._showtraceback(kind, error, lines)  # noqa: SLF001 - IPython has no other way to tell it
    return lines
