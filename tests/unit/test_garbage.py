"""Garbage is looked for rarely while a stage is at work, and as before afterwards."""

from __future__ import annotations

import gc

import pytest

from nexus_reimport import garbage


def test_what_was_set_before_holds_again_also_after_an_error() -> None:
    before = gc.get_threshold()
    gc.set_threshold(711, 9, 8)
    try:
        with garbage.rarely_looked_for():
            assert gc.get_threshold()[0] > 711
            with garbage.rarely_looked_for():
                pass
            assert gc.get_threshold()[0] > 711, "a stage within a stage"
        assert gc.get_threshold() == (711, 9, 8)
        with pytest.raises(KeyError), garbage.rarely_looked_for():
            raise KeyError
        assert gc.get_threshold() == (711, 9, 8)
    finally:
        gc.set_threshold(*before)


def test_it_is_looked_for_rarely_and_not_never() -> None:
    with garbage.rarely_looked_for():
        assert gc.isenabled()
        assert (
            0 < gc.get_threshold()[0] * gc.get_threshold()[1] * gc.get_threshold()[2] < 10_000_000
        )
