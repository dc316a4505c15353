"""Wipe all patient data of Nexus and reimport it fresh from FileMaker.

The stages, in the order of a run: ``snapshot``, ``census``, ``survey``, ``backup``, then
``planning`` and ``checks``, then ``rehearsal``, ``approval``, ``apply``, ``verify``. ``runbook``
puts them together for notebooks and for the command line, ``record`` keeps what happened.
ARCHITECTURE.md has the flow on one page.
"""

from pathlib import Path

__version__ = "0.1.0"
PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent  # of a checkout alone: an installed package has no pages beside it
