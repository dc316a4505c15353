"""The chain of an environment's records: each seal holds the seal that was made before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexus_reimport.record import manifest


def before(folder: Path) -> dict[str, str] | None:
    """The environment's last seal, for the manifest of the record in ``folder``."""
    sealed = [path.parent for path in sorted(folder.parent.glob(f"*/{manifest.MANIFEST}"))]
    last = max(sealed, key=lambda found: str(manifest.read(found)["sealed_at"]), default=None)
    return {"run": last.name, "seal": manifest.digest(last)} if last else None


def problems(folder: Path, sealed: dict[str, Any]) -> list[str]:
    """Whether the record before is still the one that the manifest ``sealed`` names."""
    link = sealed["before"]
    if link is None or manifest.digest(folder.parent / link["run"]) == link["seal"]:
        return []
    return [f"the record before, {link['run']}, is not the one that was sealed"]
