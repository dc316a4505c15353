"""``/settings/data-management``: where we stand, dry run, full reimport, the way back, the log.

A face: it shows what Nexus, FileMaker, S3 and the records say, and starts commands of the command
line as processes of their own. It decides nothing. ``jupyter_server`` serves it, with its token,
password, TLS and login.
"""

from __future__ import annotations

from nexus_reimport.runner import blocked_import  # noqa: F401 - before jupyter_server comes


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """What ``jupyter_server`` loads by the name ``nexus_reimport.page``."""
    from nexus_reimport.page.application import DataManagement

    return [{"module": "nexus_reimport.page.application", "app": DataManagement}]
