"""What a request that was not answered as it was asked is told: on a page of ours."""

from __future__ import annotations

from typing import Any

from nexus_reimport import naming
from nexus_reimport.errors import Busy, ReimportError, StopError


class OwnErrors:
    """For a handler of ``jupyter_server``: its errors as pages of ours, told once in the log."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A page; of an error that is not ours nothing is told but that there was one."""
        answer: Any = self
        error = kwargs.get("exc_info", (None, None))[1]
        own_error = error if isinstance(error, ReimportError) else None
        if isinstance(error, StopError) or (own_error and own_error.exit_code == 1):
            answer.set_status(status_code := 409)
        answer.set_header("Content-Type", "text/html; charset=utf-8")
        page = answer.settings["data_management"]
        values = {
            "status": status_code,
            "error": own_error,
            "is_busy": isinstance(error, Busy),
            "was_asked_for": answer.request.method == "POST",
            "unknown_host": "" if answer.check_host() else answer.request.host,
            "front": page.address,
            "asset": page.asset,
        }
        html = page.jinja2_env.get_template("error.html").render(values)
        answer.write(naming.breakable(html))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """An error of ours is told on the page: the server's log has its first line."""
        answer: Any = self
        if isinstance(error, ReimportError):
            answer.log.warning("%s %s: %s", answer.request.method, answer.request.path, error.what)
            return
        super().log_exception(kind, error, trace)  # type: ignore[misc]
