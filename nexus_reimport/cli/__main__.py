"""``python -m nexus_reimport.cli``."""

from nexus_reimport.cli import main

main()
