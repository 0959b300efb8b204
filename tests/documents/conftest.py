"""One authority and one contract for all tests of documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portal.documents import authority, executed, render
from portal.documents.authority import Authority
from tests.documents import samples

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
EVIDENCE = {"schema": "countersign-evidence/1", "people": [{"name": "Claire Aubert\nstartxref\n1\n%%EOF"}]}


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority") / "authority"
    authority.create(folder, name="Larkfield Software Ltd", now=NOW)
    return authority.load(folder)


@pytest.fixture(scope="session")
def ca(keys: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(keys.ca_pem)
    return path


@pytest.fixture(scope="session")
def contract() -> tuple[bytes, list[render.Placement]]:
    """A typeset contract of a few pages, and where it is signed."""
    values, files = render.contract_task(dict(samples.contract(repeat=3)), {})
    return files["pdf"], [render.Placement(**one) for one in values["placements"]]


@pytest.fixture(scope="session")
def parts() -> render.ExecutionParts:
    stamps = [
        {
            "kind": "typed",
            "name": "Ana Whitmore",
            "when": "3 Nov 2026, 10:11 CET",
            "width": 200,
            "height": 50,
        },
        {
            "kind": "drawn",
            "name": "Claire Aubert",
            "when": "3 Nov 2026",
            "width": 200,
            "height": 50,
            "drawn": samples.DRAWN,
        },
    ]
    return render.execution_parts(stamps, samples.certificate(), in_process=True)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def execute(keys: Authority, parts: render.ExecutionParts) -> Callable[..., bytes]:
    """Builds an executed file from a shown one and the spots to sign on."""

    def build(shown: bytes, spots: list[tuple[int, float, float]]) -> bytes:
        pictures = [parts.stamps[at % len(parts.stamps)] for at in range(len(spots))]
        stamps = [
            executed.Stamp(page, x, y, 180, 45, picture)
            for (page, x, y), picture in zip(spots, pictures, strict=True)
        ]
        attached = {executed.EVIDENCE: json.dumps(EVIDENCE).encode()}
        return executed.build(
            shown, stamps, parts.certificate, attached, keys, NOW, language="en", title="Support agreement"
        )

    return build
