"""`kill -9` while a contract is handed to a vendor, and while its finished file is fetched.

The vendor is simulated and lives on: whatever dies here, it must come to hold one envelope, and its file
must be kept once. COUNTERSIGN_TEST_LONG=1 kills a hundred times at chance moments.
"""

from __future__ import annotations

import random

import pytest

from tests.faults import vendors
from tests.faults.arena import findings
from tests.faults.conftest import LONG, SEED
from tests.faults.doomed import Doom

SENDING = ("job.after_claim", "send.before_ceremony", "send.after_ceremony", "job.before_finish")
FETCHING = ("fetch.after_download", "fetch.after_store", "fetch.before_record", "fetch.after_record")


@pytest.fixture(scope="module")
def vendor(arena):
    with vendors.opened(arena) as made:
        yield made


def one_is_sent(vendor, site):
    found = findings(site).of("envelope")
    assert [(row["status"], row["remote_id"]) for row in found] == vendor.ours()
    assert [status for status, _number in vendor.ours()] == ["sent"]


def one_file_is_kept(site):
    found = findings(site)
    (envelope,) = found.of("envelope")
    assert (envelope["status"], envelope["seal_status"]) == ("completed", "sealed")
    for kind in ("executed", "companion"):
        (document,) = found.of("document", kind=kind, envelope_id=envelope["id"])
        assert found.read(document["storage_key"])


def test_killed_at_a_named_point_it_is_sent_once(vendor, arena):
    for point in SENDING if arena.kind == "sqlite" or LONG else SENDING[1:3]:
        with vendor.fresh() as site:
            vendor.send(site, doom=Doom(point))
            vendor.send_again(site)
            one_is_sent(vendor, site)


def test_killed_between_request_and_answer_it_is_sent_once(vendor, arena):
    chance = random.Random(f"{SEED}-{arena.kind}-vendors")
    with vendor.fresh() as site:
        took = vendor.send(site).took_s
    killed = 0
    for _round in range(100 if LONG else 3 if arena.kind == "sqlite" else 1):
        with vendor.fresh() as site:
            killed += vendor.send(site, after_s=chance.uniform(0.2, 0.9) * took).was_killed
            vendor.send_again(site)
            one_is_sent(vendor, site)
    assert killed or not LONG


def test_killed_while_fetching_one_file_is_kept(vendor, arena):
    for point in FETCHING if arena.kind == "sqlite" or LONG else FETCHING[1:2]:
        with vendor.fresh() as site:
            vendor.send(site)
            vendor.sign()
            assert vendor.fetch(site, doom=Doom(point)).was_killed
            vendor.fetch_again(site)
            one_file_is_kept(site)
