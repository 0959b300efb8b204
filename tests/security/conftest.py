"""The rich installation, opened anew for every test and put back as it was behind each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.models import base
from tests.security import catalogue
from tests.security import world as worlds
from tests.security.browser import Answer, Portal
from tests.security.catalogue import Sample
from tests.security.world import World


@pytest.fixture(scope="session")
def is_long() -> bool:
    """Whether every combination is tried; the short run takes a few of each."""
    return os.environ.get("COUNTERSIGN_TEST_LONG") == "1"


@pytest.fixture(scope="session")
def made_portal(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Portal:
    folder = tmp_path_factory.mktemp("world")
    shutil.copy(sqlite_template, folder / "countersign.db")
    given = worlds.found(folder)
    worlds.open_world(given)
    made = Portal.open(worlds.build(given))
    base.disconnect()
    return made


@pytest.fixture
def portal(made_portal: Portal) -> Iterator[Portal]:
    """The application on the rich installation; what a test changed is undone."""
    worlds.open_world(made_portal.world.settings)
    with worlds.quick_work():
        made_portal.world.back()
        yield made_portal
        made_portal.world.back()
    base.disconnect()


@pytest.fixture
def world(portal: Portal) -> World:
    return portal.world


@pytest.fixture
def pages(portal: Portal) -> list[Answer]:
    """Every page somebody of the installation can open; read once per process."""
    if not portal.pages:
        with worlds.marked_as_sample(portal.world):
            portal.pages = catalogue.open_pages(portal)
        portal.world.back()
    return portal.pages


@pytest.fixture
def samples(portal: Portal, pages: list[Answer]) -> dict[str, Sample]:
    """A form for every address that takes one, by endpoint; found once per process."""
    if not portal.samples:
        with worlds.marked_as_sample(portal.world):
            portal.samples = catalogue.complete(portal, catalogue.collect(portal, pages))
    return portal.samples
