"""A channel to the small FileMaker file, as the contract of every channel asks for it."""

from __future__ import annotations

import pytest


@pytest.fixture
def place(channel, tmp_path):
    """What the channel reads: a server, or a folder."""
    with channel.started(tmp_path) as started:
        yield started


@pytest.fixture
def simulator(place):
    return place


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def source(channel, place, pauses):
    with channel.opened(place, pauses) as opened:
        yield opened
