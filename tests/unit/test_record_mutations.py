"""Whatever was changed since a seal is found: at random, and with an aim."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from nexus_reimport.files import private
from nexus_reimport.record import Run
from nexus_reimport.record.sealed import bag, check
from support.auditing import silent
from support.forged_by_itself import BY_ITSELF, OF_THE_PAYLOAD
from support.forgeries import AIMED, UNBELIEVABLE, Sealed
from support.mutations import everything, mutate, restore
from support.records import checked, seal_anew, stopped, wrong

# Ten thousand, with a seed of their own, whoever wants: MUTATIONS=10000 SEED=1 pytest ...
MUTATIONS, SEED = int(os.environ.get("MUTATIONS", "300")), os.environ.get("SEED", "20261126")


def test_random_mutations_of_sealed_records_are_all_found(
    sealed: Sealed, tool: ModuleType, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(sealed.folder, kept)
    before, chance = everything(kept), random.Random(SEED)
    tried, missed, missed_by_tool = 0, [], []
    while tried < MUTATIONS:
        what = mutate(sealed.folder, chance)
        now = everything(sealed.folder)
        if now != before:
            tried += 1
            if not sealed.problems():
                missed.append(what)
            if tool.check(sealed.folder, sealed.seals(), None, silent):
                missed_by_tool.append(what)
        differing = {path for path, _ in now.items() ^ before.items()}
        restore(sealed.folder, kept, differing)
    assert everything(sealed.folder) == before
    assert (tried, missed, missed_by_tool) == (MUTATIONS, [], [])


@pytest.mark.parametrize("change", AIMED, ids=lambda change: change.__name__)
def test_an_aimed_mutation_is_found(
    sealed: Sealed, tool: ModuleType, change: Callable[[Sealed], None]
) -> None:
    change(sealed)
    assert sealed.problems()
    if sealed.folder.is_dir():
        assert not tool.check(sealed.folder, sealed.seals(), None, silent)


@pytest.mark.parametrize("change", BY_ITSELF, ids=lambda change: change.__name__)
def test_a_bag_that_can_be_read_in_two_ways_is_refused_by_itself(
    sealed: Sealed, tool: ModuleType, change: Callable[[Run], None]
) -> None:
    run = sealed.runs[1]
    change(run)
    if change in OF_THE_PAYLOAD:
        seal_anew(run.bag)
    there = [name for name in bag.TAG_FILES if (run.bag / name).is_file()]
    text = bag.manifest_text({name: private.sha256_of(run.bag / name) for name in there})
    (run.bag / bag.TAG_MANIFEST).write_text(text)
    assert check.of_record(run.bag).problems
    assert not tool.check(run.bag, None, None, silent)


@pytest.mark.parametrize("change", UNBELIEVABLE, ids=lambda change: change.__name__)
def test_the_next_record_does_not_go_on_from_a_note_that_nobody_of_us_wrote(
    sealed: Sealed, tool: ModuleType, change: Callable[[Sealed], None]
) -> None:
    change(sealed)
    new = stopped(sealed.known)
    link = new.place()
    assert link is not None
    assert link.sequence == 5
    assert bag.info(new.bag)["Record-Before"] == sealed.runs[3].id
    assert wrong(checked(sealed.known, sealed.rows)) == {}
    assert tool.check(sealed.folder, sealed.seals(), None, silent)
