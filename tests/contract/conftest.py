"""A channel to the small FileMaker file, as the contract of every channel asks for it."""

from __future__ import annotations

import pytest

from support.every_channel import DATA_API


@pytest.fixture
def channel():
    """The Data API, unless a test or its module asks for others."""
    return DATA_API


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
