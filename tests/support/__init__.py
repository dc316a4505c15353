"""What several tests share: clinics, things to break, and ways to look at what is left."""

from pathlib import Path

SUPPORT = Path(__file__).parent
