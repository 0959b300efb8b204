"""The checker itself: it is content with an undisturbed run, and names every damage planted in one."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.faults import arena as place
from tests.faults import doomed, invariants, stage
from tests.faults.doomed import Site

ACT = "(SELECT id FROM act LIMIT 1)"
SIGNED = "(SELECT id FROM envelope WHERE status = 'completed' LIMIT 1)"
DAMAGES = {
    "acts_are_told": f"DELETE FROM act WHERE id = {ACT}",
    "one_act_each": "INSERT INTO act SELECT id + 1000, envelope_id, recipient_id, 'decline', at, "
    "document_sha256, name, title, intent, authority, signature_kind, signature_path, reason, factors, "
    f"address, user_agent FROM act WHERE id = {ACT}",
    "chains_hold": "UPDATE audit_event SET body = replace(body, '\"envelope.sent\"', '\"envelope.lost\"')"
    " WHERE act = 'envelope.sent'",
    "chains_hold: gap": "DELETE FROM audit_event WHERE act = 'recipient.asked'",
    "personal_details_match": "UPDATE audit_detail SET personal = replace(personal, 'Claire', 'Clara')",
    "folded_heads_exist": "UPDATE chain_head SET folded_number = 1 WHERE chain <> 'installation'",
    "requests_are_told": "UPDATE envelope SET status = 'voided' WHERE status = 'sent'",
    "requests_are_told: twice": f"UPDATE envelope SET contract_id = (SELECT contract_id FROM envelope "
    f"WHERE id = {SIGNED}) WHERE status IN ('sent', 'completed')",
    "contracts_moved_as_told": "UPDATE contract SET state = 'ready_to_sign' WHERE state = 'signed'",
    "acts_precede_completion": "UPDATE envelope SET status = 'completed' WHERE status = 'sent'",
    "at_most_one_seal": f"UPDATE document SET version = 3 WHERE kind = 'executed' AND envelope_id = {SIGNED}",
    "at_most_one_seal: other": f"UPDATE envelope SET executed_id = document_id WHERE id = {SIGNED}",
    "files_are_those_registered": "UPDATE document SET sha256 = upper(sha256) WHERE kind = 'shown'",
    "files_are_those_registered: unknown": "DELETE FROM registered_file",
    "people_are_told_once": "UPDATE notice SET kind = 'sign_request' WHERE kind = 'acknowledgement'",
    "people_are_told_once: never": "DELETE FROM notice WHERE kind = 'completed'",
    "people_are_told_once: no link": "DELETE FROM link_token WHERE purpose = 'copy'",
    "jobs_stand_beside_facts": "DELETE FROM job WHERE kind = 'seal_envelope'",
    "nothing_is_left": "UPDATE job SET status = 'running' WHERE kind = 'deliver_notice'",
    "nothing_is_left: unsealed": f"UPDATE envelope SET seal_status = 'incomplete' WHERE id = {SIGNED}",
    "no_stray_seal": "UPDATE document SET kind = 'shown' WHERE kind = 'executed' AND version = 1",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished installation, not to be changed: where it lies, and how to reach a copy of it."""
    folder = tmp_path_factory.mktemp("done") / "finished"
    with place.opened("sqlite") as made, made.stage("outbox").fresh() as site:
        place.live(site, place.NOW + stage.LATER, doomed.work)
        shutil.copytree(site.environ["COUNTERSIGN_DATA_DIR"], folder)
    return folder


def copy_of(done, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    return Site(place.environment("sqlite", folder, ""))


def damage(site, statement):
    """Do to the tables what no code of the product could: without triggers, references or uniqueness."""
    file = sqlite3.connect(site.database_url.removeprefix("sqlite:///"))
    for kind, name in file.execute(
        "SELECT type, name FROM sqlite_master WHERE type = 'trigger' OR (type = 'index' AND sql IS NOT NULL)"
    ).fetchall():
        file.execute(f'DROP {kind} "{name}"')
    changed = file.execute(statement).rowcount
    file.commit()
    file.close()
    return changed


def test_an_undisturbed_run_breaks_nothing(done, tmp_path):
    found = place.findings(copy_of(done, tmp_path))

    assert invariants.violations(found, finished=True) == []
    assert found["act"]


@pytest.mark.parametrize("rule", DAMAGES)
def test_planted_damage_is_named(done, tmp_path, rule):
    site = copy_of(done, tmp_path)
    assert damage(site, DAMAGES[rule]) > 0

    broken = invariants.violations(place.findings(site), finished=True)

    assert any(each.startswith(rule.split(":")[0]) for each in broken), broken


def test_every_rule_has_a_damage_it_names():
    rules = {rule.__name__ for rule in (*invariants.ALWAYS, *invariants.AT_THE_END)}

    assert rules == {name.split(":")[0] for name in DAMAGES}


def test_a_changed_file_in_the_store_is_named(done, tmp_path):
    site = copy_of(done, tmp_path)
    for path in Path(site.environ["COUNTERSIGN_DATA_DIR"]).rglob("*-executed-1"):
        *whole, last = path.read_bytes()
        path.write_bytes(bytes([*whole, last ^ 1]))

    broken = invariants.violations(place.findings(site), finished=True)

    assert sum("its bytes are not those registered" in each for each in broken) == 2


def test_a_promised_act_that_is_gone_is_named(done, tmp_path):
    found = place.findings(copy_of(done, tmp_path))

    assert invariants.violations(found, finished=True, promised=["nobody"]) == [
        "promised: the act of nobody is lost"
    ]


def test_post_that_is_lost_unknown_or_doubled_too_often_is_named(done, tmp_path):
    found = place.findings(copy_of(done, tmp_path))
    name = found["notice"][0]["id"]

    assert invariants.undelivered(found, {name: 2}, [name], 1) == []
    assert invariants.undelivered(found, {name: 3}, [name], 1) == ["post: 2 repeats after 1 kills"]
    assert len(invariants.undelivered(found, {"other": 1}, [name], 1)) == 2
