"""The gate before prod compares dev with what would be executed now, not with an old preflight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport import settings
from nexus_reimport.model import Proposal, Refusal
from nexus_reimport.settings import Settings
from nexus_reimport.stages import approval
from nexus_reimport.stages.approval import DevRun

MAPPING = "mapping"


@pytest.fixture
def prod(environment_files: Path) -> Settings:
    return settings.load("sandbox-prod", environment_files)


def refused(prod: Settings, of_preflight: str, of_dev: str) -> tuple[Refusal, ...]:
    """The refusals where the package of prod's preflight, or of dev's run, was an older one."""
    packages = {"old": "0" * 64, "now": approval.code_digest()}
    proposal = Proposal(
        "sandbox-prod", "", MAPPING, packages[of_preflight], "", "", "", {}, {}, digest="1" * 64
    )
    decided = replace(proposal, decisions=approval.decisions_digest(prod))
    dev = DevRun("20260101T000000Z-0000", packages[of_dev], MAPPING, ())
    return approval.refusals(approval.gates(prod, decided, MAPPING, dev))


def test_nothing_is_refused_where_all_three_are_of_one_package(prod: Settings) -> None:
    assert refused(prod, "now", "now") == ()


def test_an_upgrade_after_the_preflight_of_prod_sends_a_person_to_dev_first(
    prod: Settings,
) -> None:
    dev, preflight = refused(prod, "old", "old")
    assert "was run with a different package" in dev.what
    assert preflight.what == "the package was changed since the preflight"


def test_a_dev_that_was_run_again_since_the_upgrade_need_not_be_run_again(prod: Settings) -> None:
    (only,) = refused(prod, "old", "now")
    assert only.what == "the package was changed since the preflight"


def test_the_mapping_of_dev_is_compared_with_the_one_there_is_now(prod: Settings) -> None:
    proposal = Proposal("sandbox-prod", "", "old", approval.code_digest(), "", "", "", {}, {})
    decided = replace(proposal, decisions=approval.decisions_digest(prod))
    dev = DevRun("20260101T000000Z-0000", approval.code_digest(), MAPPING, ())
    reasons = approval.refusals(approval.gates(prod, decided, MAPPING, dev))
    assert [one.what for one in reasons] == ["the mapping was changed since the preflight"]


@pytest.mark.parametrize("taken_back", [True, False])
def test_a_dev_run_that_was_taken_back_stands_for_dev_and_the_gate_says_so(
    prod: Settings, taken_back: bool
) -> None:
    now = approval.code_digest()
    proposal = Proposal("sandbox-prod", "", MAPPING, now, "", "", "", {}, {}, digest="1" * 64)
    dev = DevRun("20260101T000000Z-0000", now, MAPPING, (), taken_back=taken_back)
    gate = approval.gates(prod, proposal, MAPPING, dev)[0]
    assert gate.refusal is None
    assert gate.claim.endswith(f"({dev.run}; taken back since)") is taken_back
