"""The sign-off before production: the sheet as it stands, and a signature for one of its lines."""

from __future__ import annotations

from nexus_reimport import record, runbook
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError
from nexus_reimport.model import Proposal, SignOff
from nexus_reimport.record import signatures
from nexus_reimport.runbook.gates import sheet_without_run
from nexus_reimport.stages import sign_off


def sheet(environment: str) -> SignOff:
    """The sheet of an environment, with what its open run has proven.

    Raises:
        ReimportError: that run cannot be opened.
    """
    settings = environments.load(environment)
    waiting = [run for run in record.open_runs(settings) if run.has(Proposal)]
    if waiting:
        return runbook.reopen(settings.name, waiting[-1].id).sheet()
    return sheet_without_run(settings)


def readable_sheet(environment: str) -> SignOff:
    """As ``sheet``; without what the open run has proven, if that run cannot be opened."""
    try:
        return sheet(environment)
    except ReimportError:  # whoever opens or executes that run is told why
        return sheet_without_run(environments.load(environment))


def spent_by(environment: str) -> str:
    """The latest committed run that relied on signatures of its own; "" if none did."""
    return signatures.spent_by(environments.load(environment))


def sign(environment: str, line: str, who: str, text: str) -> SignOff:
    """Sign a line; gives the sheet as it stands then.

    Raises:
        SettingsError: there is no such line, or name or text cannot be used. Nothing was written.
    """
    settings = environments.load(environment)
    signatures.sign(settings, sign_off.named(line), who, text)
    return readable_sheet(environment)


def withdraw(environment: str, line: str, who: str, text: str) -> SignOff:
    """Take the signature of a line back; gives the sheet as it stands then.

    Raises:
        SettingsError: the line is not signed, or name or text cannot be used. Nothing was written.
    """
    settings = environments.load(environment)
    signatures.withdraw(settings, sign_off.named(line), who, text)
    return readable_sheet(environment)
