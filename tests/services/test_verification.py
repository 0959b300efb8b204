from __future__ import annotations

import hashlib
import json

import pytest

from portal.documents import authority
from portal.errors import Invalid
from portal.i18n import use
from portal.models.audit import AuditEvent
from portal.models.contracts import RegisteredFile
from portal.services import installation, verification
from tests.services.signing import printed
from tests.services.test_sealing import completed, finished


@pytest.fixture
def executed(cast, now, run_jobs):
    envelope = completed(cast, now, run_jobs)
    run_jobs(now)
    return finished(envelope)[1]


def test_registered_bytes_are_valid_and_can_be_said_as_json(executed):
    answer = json.loads(json.dumps(verification.verify(executed)))

    assert (answer["valid"], answer["result"], answer["kind"]) == (True, "genuine", "executed")
    assert answer["sealed_by"] == "Larkfield Software Ltd"
    assert [s["name"] for s in answer["signatures"]] == ["C. Aubert", "Priya"]
    assert answer["shown_sha256"] == hashlib.sha256(executed[: answer["shown_bytes"]]).hexdigest()


def test_on_another_machine_the_authority_decides(executed, home):
    ca = home.authority.ca_pem

    assert verification.verify(executed, ca=ca, registered=False)["valid"]
    assert not verification.verify(executed[:-1] + b" ", ca=ca, registered=False)["valid"]
    assert not verification.verify(executed + b"\n", ca=ca, registered=False)["valid"]


def test_a_foreign_authority_is_no_proof(executed, now, tmp_path):
    authority.create(tmp_path / "other", name="Mallory Ltd", now=now)
    other = authority.load(tmp_path / "other").ca_pem

    answer = verification.verify(executed, ca=other)

    assert (answer["valid"], answer["result"]) == (False, "unknown")


def test_without_records_and_authority_nothing_is_claimed(executed):
    answer = verification.verify(executed, registered=False)

    assert not answer["valid"]
    assert "--ca FILE" in answer["reasons"][0]


def test_our_seal_on_a_file_that_is_not_registered_is_no_yes(executed):
    RegisteredFile.delete().where(RegisteredFile.kind == "executed").execute()

    answer = verification.verify(executed)

    assert (answer["valid"], answer["result"]) == (False, "unknown")
    assert "not registered" in answer["reasons"][0]


def test_what_still_holds_of_a_longer_file_is_said(executed, now):
    answer = verification.verify(executed + b"%%EOF\n" * 40)

    assert answer["result"] == "altered"
    assert answer["still_holds"] is not None
    assert answer["reasons"] == ["240 bytes were added behind the company seal."]


def test_the_text_for_a_terminal_is_plain_and_in_the_readers_language(executed):
    good = verification.as_text(verification.verify(executed))
    with use("fr"):
        bad = verification.as_text(verification.verify(executed + b"x"))

    assert good.splitlines()[0] == "Genuine and unchanged."
    assert "Signed by C. Aubert, Castellan Pharma SA" in good
    assert "Its key is certified by the authority of this installation; certificate SHA-256 " in good
    with_ca = verification.verify(executed, installation.current().authority.ca_pem, registered=False)
    assert "certified by the authority you gave with --ca" in verification.as_text(with_ca)
    assert bad.splitlines()[0] == "Modifié après le cachet. Ne vous fiez pas à ce fichier."


def test_sealing_by_hand_registers_the_result(home, now):
    made = verification.seal_file(printed().pdf, now=now)

    assert made.level == "B-B"
    assert made.sha256 == hashlib.sha256(made.pdf).hexdigest()
    assert verification.verify(made.pdf)["kind"] == "sealed"
    assert AuditEvent.select().where(AuditEvent.act == "file.sealed").count() == 1


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7\nbroken"])
def test_what_is_no_pdf_is_not_sealed(home, now, content):
    with pytest.raises(Invalid) as refused:
        verification.seal_file(content, now=now)

    assert refused.value.errors["file"]
    assert RegisteredFile.select().count() == 0


@pytest.mark.parametrize(
    ("name", "short"),
    [("Claire Marie Aubert", "C. M. Aubert"), ("Priya", "Priya"), ("", ""), ("élodie d’Arc", "é. d’Arc")],
)
def test_names_are_told_by_initials(name, short):
    assert verification.short_name(name) == short


def test_the_strongest_check_is_named():
    both = [{"factor": "link"}, {"factor": "totp"}, {"factor": "sms"}]

    assert verification.strongest(both) == "totp"
    assert verification.strongest([]) == "link"
    assert verification.strongest(["unheard-of"]) == "link"
