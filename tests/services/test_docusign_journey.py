"""A request through DocuSign from the portal's side: its calls alone carry it to the end."""

from __future__ import annotations

import pytest

from portal.models.contracts import Document
from portal.models.envelopes import Act, Envelope, PolicyRule
from portal.services import connections, envelopes, polling, remote_acts, webhooks
from portal.services.audit import SYSTEM
from tests.services.signing import actor, ours, ready, recipient, sent, theirs
from tests.simulators.docusign import DocuSign


@pytest.fixture
def vendor(now):
    with DocuSign(lambda: now).serving() as vendor:
        yield vendor


@pytest.fixture
def account(cast, now, vendor, monkeypatch):
    monkeypatch.setattr(connections, "utc_now", lambda: now)
    made = connections.create(
        "docusign", "DocuSign EU", vendor.connection_settings(), by=SYSTEM, now=now, server=vendor.origin
    )
    connections.checked(made, connections.provider(made).check(), by=SYSTEM, now=now)
    account = connections.get(made.id)
    subscription = connections.provider(account).subscribe("https://portal.example/webhooks/x")
    connections.keep_subscription(account, subscription)
    return connections.get(made.id)


def hear(vendor, account, now, run_jobs):
    """Whatever DocuSign has called about arrives."""
    for call in vendor.calls:
        assert webhooks.receive(account.id, call, now=now).status == 200
    vendor.calls.clear()
    run_jobs(now)


def test_its_calls_carry_a_request_to_the_end(cast, now, run_jobs, vendor, account):
    PolicyRule.create(name="R", condition={}, applies_to="ours", factor="totp", updated_at=now)
    envelope = sent(cast, now, run_jobs, ready(cast, now, [theirs(), ours(cast)]), connection=account)
    [there] = vendor.sent()
    claire, ana = recipient(envelope, "claire"), recipient(envelope, "ana")
    assert (claire.is_embedded, ana.is_embedded) == (False, True)

    vendor.act(there.id, claire.email, "open")
    hear(vendor, account, now, run_jobs)
    assert recipient(envelope, "claire").status == "opened"
    vendor.act(there.id, claire.email, "sign")
    vendor.act(there.id, ana.email, "sign")
    hear(vendor, account, now, run_jobs)

    ended = Envelope.get_by_id(envelope.id)
    assert (ended.status, ended.seal_status) == ("completed", "sealed")
    assert [each.status for each in envelopes.recipients_of(ended)] == ["signed", "signed"]
    assert {act.kind for act in Act.select()} == {"sign"}
    assert {each.kind for each in Document.select().where(Document.envelope_id == envelope.id)} >= {
        "executed", "vendor_evidence", "companion",
    }  # fmt: skip
    assert {mail.to for mail in vendor.mails} == {claire.email}


def test_somebody_corrected_is_followed_under_their_new_address(cast, now, run_jobs, vendor, account):
    envelope = sent(cast, now, run_jobs, connection=account)
    claire = recipient(envelope, "claire")
    remote_acts.correct(claire, "Claire New", "new@castellan.example", by=actor(cast.ana), now=now)
    run_jobs(now)

    vendor.act(vendor.sent()[0].id, "new@castellan.example", "sign")
    polling.look(envelope.id, now)

    assert recipient(envelope, "claire").status == "signed"
    assert recipient(envelope, "claire").remote_id == "1"
