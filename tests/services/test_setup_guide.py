"""The checklist from an empty installation to the first real send says how things stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from portal.models.audit import AuditEvent
from portal.models.parties import LegalEntity, Signatory
from portal.services import installation, policies, setup_guide
from portal.services.audit import SYSTEM
from tests.services.signing import sent


def states(now):
    return {step.key: step.state for step in setup_guide.look(now).steps}


def about(key, now):
    return next(step.about for step in setup_guide.look(now).steps if step.key == key)


def test_an_empty_installation_begins_with_its_company(home, now):
    guide = setup_guide.look(now)

    assert guide.next.key == "company"
    assert guide.done == 0
    assert not guide.is_finished
    assert setup_guide.unfinished(now) is not None


def test_a_company_without_what_contracts_print_says_what_is_missing(home, now):
    LegalEntity.create(name="Bare Ltd", created_at=now)

    assert states(now)["company"] == "todo"
    assert "governing law" in about("company", now)


def test_company_signatory_and_owner_are_found_done(cast, now):
    found = states(now)

    assert (found["company"], found["signatory"], found["people"]) == ("done", "done", "done")
    assert "Ana" in about("people", now)


def test_authority_that_has_ended_does_not_count(cast, now):
    Signatory.update(valid_until=now.date() - timedelta(days=1)).execute()

    assert states(now)["signatory"] == "todo"


def test_rules_are_right_once_somebody_says_so(home, now):
    policies.seed(now=now)
    assert states(now)["rules"] == "todo"

    setup_guide.confirm_rules(by=replace(SYSTEM, name="Ada"), now=now)

    assert states(now)["rules"] == "done"
    assert "Ada" in about("rules", now)
    assert AuditEvent.select().where(AuditEvent.act == "policies.confirmed").exists()


def test_a_backup_counts_for_a_week_and_a_failed_one_says_why(home, now):
    installation.set_fact(
        "last_backup", {"at": now.isoformat(), "good_at": now.isoformat(), "ok": True, "reason": ""}, now
    )
    assert states(now)["backup"] == "done"
    assert states(now + timedelta(days=8))["backup"] == "advised"

    installation.set_fact(
        "last_backup", {"at": now.isoformat(), "good_at": "", "ok": False, "reason": "the disk is full"}, now
    )
    assert "the disk is full" in about("backup", now)


def test_a_first_send_is_real_only_through_a_real_gateway(cast, home, now, run_jobs):
    sent(cast, now, run_jobs)
    assert states(now)["first_send"] == "todo"

    home.settings = replace(home.settings, mail_url="smtp://mail.example")
    assert states(now)["first_send"] == "done"


def test_sample_data_is_never_led_to_the_checklist(home, now):
    home.settings.sample_marker.write_text("invented")

    assert setup_guide.unfinished(now) is None
