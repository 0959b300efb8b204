"""Which gateway is in force: the environment's, a page's, or none; and sample data stays in the house."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal.errors import Conflict
from portal.models.audit import InstallationFact
from portal.services import gateways
from portal.services.audit import SYSTEM

SMTP = "smtps://portal:hush-hush@mail.example:465"


def test_nothing_leaves_the_house_before_a_gateway_is_set_up(home):
    assert gateways.all_stay_here()
    assert gateways.in_force("mail").source == "default"


def test_a_gateway_connected_on_its_page_is_used_and_kept_encrypted(home, now):
    gateways.connect("mail", SMTP, sender="Larkfield <c@larkfield.example>", by=SYSTEM, now=now)

    found = gateways.in_force("mail")
    assert (found.url, found.sender, found.source) == (SMTP, "Larkfield <c@larkfield.example>", "page")
    assert found.is_real
    assert not gateways.all_stay_here()
    assert not gateways.in_force("sms").is_real
    assert "hush-hush" not in str(InstallationFact.get(InstallationFact.name == "gateway_mail").value)
    assert "hush-hush" not in repr(found)


def test_the_environment_comes_first_and_cannot_be_changed_on_a_page(home, now):
    gateways.connect("mail", SMTP, by=SYSTEM, now=now)
    home.settings = replace(home.settings, mail_url="smtp://other.example")

    assert gateways.in_force("mail").url == "smtp://other.example"
    with pytest.raises(Conflict):
        gateways.connect("mail", SMTP, by=SYSTEM, now=now)


def test_a_disconnected_gateway_is_used_no_more(home, now):
    gateways.connect("sms", "webhook+https://key@sms.example/", by=SYSTEM, now=now)
    gateways.disconnect("sms", by=SYSTEM, now=now)

    assert gateways.all_stay_here()
    with pytest.raises(Conflict):
        gateways.disconnect("sms", by=SYSTEM, now=now)


def test_sample_data_never_leaves_the_house(home, now):
    gateways.connect("mail", SMTP, by=SYSTEM, now=now)
    home.settings.sample_marker.write_text("invented")

    assert gateways.all_stay_here()
    with pytest.raises(Conflict):
        gateways.connect("sms", "webhook+https://key@sms.example/", by=SYSTEM, now=now)
