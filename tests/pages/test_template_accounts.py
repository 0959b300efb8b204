"""Through which account contracts made from a template begin to be sent."""

from __future__ import annotations

import re

import pytest

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.contracts import Contract
from portal.models.envelopes import PolicyRule
from portal.models.templates import Template, TemplateVersion
from portal.services import connections
from tests.cast import sign_in
from tests.services import pigeon
from tests.services.signing import actor, ready


@pytest.fixture
def account(cast, monkeypatch):
    pigeon.install(monkeypatch, pigeon.Loft())
    return pigeon.connected("Pigeon EU", utc_now())


@pytest.fixture
def version(cast):
    now = utc_now()
    template = Template.create(key="support", name={"en": "Support", "fr": "Support"}, created_at=now)
    return TemplateVersion.create(
        template=template, number=1, clauses=[], levels={}, sha256="0" * 64, published_at=now
    )


def choose(client, version, value):
    return client.post(f"/templates/{version.id}/account", data={"connection": value})


def preselected(client, cast, version):
    contract = ready(cast, utc_now())
    Contract.update(template_version=version).where(Contract.id == contract.id).execute()
    page = client.get(f"/contracts/{contract.reference}/send").get_data(as_text=True)
    return re.findall(r'name="connection"[^>]*value="(\w+)"[^>]* checked', page)


def test_contracts_from_a_template_begin_with_its_account(client, cast, account, version):
    sign_in(client, cast.ada, utc_now())
    assert "Pigeon EU" in client.get(f"/templates/{version.id}").get_data(as_text=True)
    assert choose(client, version, account.id).status_code == 303

    sign_in(client, cast.ana, utc_now())
    assert preselected(client, cast, version) == [account.id]
    assert preselected(client, cast, None) == ["builtin"]
    assert AuditEvent.select().where(AuditEvent.act == "template.account_chosen").count() == 1


def test_a_paused_account_is_passed_over_until_it_is_back(client, cast, account, version):
    sign_in(client, cast.ada, utc_now())
    choose(client, version, account.id)
    connections.pause(account, by=actor(cast.ada), now=utc_now())
    pigeon.connected("Another", utc_now())

    sign_in(client, cast.ana, utc_now())
    assert preselected(client, cast, version) == ["builtin"]


def test_a_template_may_be_signed_here_although_an_account_is_usual(client, cast, account, version):
    connections.make_default(account, by=actor(cast.ada), now=utc_now())
    sign_in(client, cast.ada, utc_now())
    assert choose(client, version, "builtin").status_code == 303
    assert re.search(r'value="builtin" selected', client.get(f"/templates/{version.id}").text)

    sign_in(client, cast.ana, utc_now())
    assert "Countersign, built in" in client.get(f"/templates/{version.id}").text
    assert preselected(client, cast, version) == ["builtin"]
    assert preselected(client, cast, None) == [account.id]


def test_each_way_says_who_checks_whom(client, cast, account, monkeypatch):
    PolicyRule.create(name="All", condition={}, applies_to="theirs", factor="totp", updated_at=utc_now())
    contract = ready(cast, utc_now())
    sign_in(client, cast.ana, utc_now())

    page = client.get(f"/contracts/{contract.reference}/send").get_data(as_text=True)

    hint = re.search(rf'id="connection-{account.id}-hint">([^<]*)<', page)[1]
    assert "Checked by Countersign first: Claire" in hint
    assert "Asked by Pigeon: " in hint
    assert "connection-builtin-hint" not in page


def test_what_is_usual_here_can_be_chosen_again(client, cast, account, version):
    sign_in(client, cast.ada, utc_now())
    choose(client, version, account.id)
    assert choose(client, version, "").status_code == 303

    assert Template.get_by_id(version.template.id).connection is None


def test_an_account_that_is_not_here_is_refused_beside_the_field(client, cast, account, version):
    sign_in(client, cast.ada, utc_now())

    answer = choose(client, version, "nobody")

    assert answer.status_code == 422
    assert "Choose one of the answers offered." in answer.get_data(as_text=True)


def test_who_may_not_change_templates_sees_it_only(client, cast, account, version):
    sign_in(client, cast.ana, utc_now())

    assert choose(client, version, account.id).status_code == 403
    assert f"/templates/{version.id}/account" not in client.get(f"/templates/{version.id}").get_data(
        as_text=True
    )
