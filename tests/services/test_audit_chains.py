"""The whole trail: checked here, exported, and checked again by a program that is not ours."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from portal.models.audit import AuditDetail, AuditEvent, ChainHead
from portal.models.base import db, is_sqlite, transaction
from portal.services import audit, audit_chains, jobs
from portal.settings import ROOT
from tests.tools import require_tool

ANA = audit.Actor("person", "ana", name="Ana")
CHECKER = ROOT / "docs" / "check_audit.py"
CHANGE_SECOND = (
    "UPDATE audit_event SET body = replace(body, '\"n\":1', '\"n\":7') WHERE number = 2 AND chain = 'c1'"
)


def write(now, chain="c1", count=4):
    for number in range(count):
        with transaction():
            audit.append(
                "contract.changed", ("contract", chain), chain=chain, by=ANA, now=now,
                facts={"n": number}, personal={"note": f"secret {number}"},
            )  # fmt: skip


def fold(now):
    with transaction():
        jobs.add("fold_chains", now=now)
    assert jobs.run_due("w", lambda: now) == 1


def unprotected(statement, *values):
    """Do to the database what only its owner could: the triggers are put aside."""
    if is_sqlite():
        for act in ("update", "delete"):
            db.execute_sql(f"DROP TRIGGER IF EXISTS audit_event_no_{act}")
    else:
        db.execute_sql("ALTER TABLE audit_event DISABLE TRIGGER audit_event_append_only")
    try:
        db.execute_sql(statement if is_sqlite() else statement.replace("?", "%s"), values)
    finally:
        if not is_sqlite():
            db.execute_sql("ALTER TABLE audit_event ENABLE TRIGGER audit_event_append_only")


def rehash(chain):
    """Compute a chain afresh, as a forger who knows the format would."""
    previous = audit.GENESIS
    for row in AuditEvent.select().where(AuditEvent.chain == chain).order_by(AuditEvent.number):
        body = json.loads(row.body) | {"previous": previous}
        text = audit.encode(body)
        digest = audit_chains.hashlib.sha256(text.encode()).hexdigest()
        unprotected(
            "UPDATE audit_event SET body = ?, hash = ?, previous_hash = ? WHERE id = ?",
            text, digest, previous, row.id,
        )  # fmt: skip
        previous = digest
    ChainHead.update(hash=previous).where(ChainHead.chain == chain).execute()


def check_export(path, *more):
    return subprocess.run([sys.executable, CHECKER, path, *more], capture_output=True, text=True, check=False)


def test_a_whole_trail_verifies_and_its_export_too(home, now, tmp_path):
    require_tool("openssl")
    write(now)
    write(now, "c2")
    fold(now)

    assert audit_chains.verify()["valid"]
    assert audit_chains.export(tmp_path / "trail") == 9
    key = tmp_path / "key.pem"
    key.write_bytes(home.authority.audit_pem)
    done = check_export(tmp_path / "trail", "--key", key)
    assert done.returncode == 0, done.stdout


def test_erased_details_leave_the_trail_whole(home, now, tmp_path):
    write(now)
    audit.erase_details("c1", [2, 3], by=ANA, now=now)
    fold(now)

    report = audit_chains.verify()

    assert report["valid"]
    assert report["erased"] == 2
    audit_chains.export(tmp_path / "trail")
    assert "secret 1" not in (tmp_path / "trail").read_text()
    assert check_export(tmp_path / "trail").returncode == 0


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        (CHANGE_SECOND, 2),
        ("DELETE FROM audit_event WHERE number = 3 AND chain = 'c1'", 3),
        ("DELETE FROM audit_event WHERE number = 4 AND chain = 'c1'", 4),
        ("UPDATE audit_event SET act = 'contract.sent' WHERE number = 1 AND chain = 'c1'", 1),
        ("DELETE FROM audit_event WHERE chain = 'c1'", 4),
    ],
)
def test_a_changed_trail_is_named_at_its_first_bad_entry(home, now, statement, number):
    write(now)

    unprotected(statement)

    report = audit_chains.verify()
    assert not report["valid"]
    assert report["faults"][0]["chain"] == "c1"
    assert report["faults"][0]["number"] == number


def test_a_chain_computed_afresh_is_found_by_the_folded_heads(home, now, tmp_path):
    write(now)
    fold(now)
    unprotected(CHANGE_SECOND)
    rehash("c1")

    faults = audit_chains.verify()["faults"]

    assert [f["chain"] for f in faults] == ["c1"]
    audit_chains.export(tmp_path / "trail")
    assert check_export(tmp_path / "trail").returncode == 1


def test_an_installation_chain_computed_afresh_is_found_by_the_signed_head(home, now, tmp_path):
    write(now)
    fold(now)
    kept = tmp_path / "before"
    audit_chains.export(kept)
    unprotected(CHANGE_SECOND)
    rehash("c1")
    head = ChainHead.get(ChainHead.chain == "c1")
    row = AuditEvent.get(AuditEvent.chain == audit.INSTALLATION)
    body = json.loads(row.body)
    body["facts"]["heads"]["c1"] = [head.number, head.hash]
    unprotected("UPDATE audit_event SET body = ? WHERE id = ?", audit.encode(body), row.id)
    rehash(audit.INSTALLATION)
    assert audit_chains.verify()["valid"]  # the database alone can no longer tell

    audit_chains.export(tmp_path / "after")

    assert check_export(kept).returncode == 0
    forged = check_export(tmp_path / "after")
    assert forged.returncode == 1
    assert "cut or computed afresh" in forged.stdout


def test_random_damage_to_an_export_is_always_found(home, now, tmp_path):
    require_tool("openssl")
    write(now, count=6)
    fold(now)
    audit_chains.export(tmp_path / "trail")
    lines = (tmp_path / "trail").read_text().splitlines()
    chance = random.Random(7)

    for _ in range(40):
        damaged = list(lines)
        place = chance.randrange(1, len(lines))
        match chance.randrange(4):
            case 0:
                del damaged[place]
            case 1:
                damaged.insert(place, damaged[chance.randrange(1, len(lines))])
            case 2:
                at = damaged[place].index('\\"at\\"') + chance.randrange(10, 25)
                damaged[place] = damaged[place][:at] + "#" + damaged[place][at + 1 :]
            case 3:
                other = chance.choice([n for n in range(1, len(lines)) if n != place])
                damaged[place], damaged[other] = damaged[other], damaged[place]
        (tmp_path / "damaged").write_text("\n".join(damaged) + "\n")
        assert check_export(tmp_path / "damaged").returncode != 0


def test_folding_twice_adds_nothing(home, now):
    write(now)
    fold(now)
    before = AuditEvent.select().count()

    fold(now)

    assert AuditEvent.select().count() == before
    assert AuditDetail.select().count() == 4
