"""What the DNS says of the domains we send from: found, kept, and what to publish."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from portal.channels import mail_records
from portal.channels.mail_records import Names
from portal.errors import Invalid
from portal.models.jobs import Job
from portal.services import gateways, handlers, jobs, mail_domains, mail_setup
from portal.services.audit import SYSTEM
from tests.simulators.names import Zone, serving

HOME = "larkfield.example"
SMTP = "smtps://portal:hush@email-smtp.eu-west-1.amazonaws.com:465"


def key(bits=2048):
    public = rsa.generate_private_key(65537, bits).public_key()
    content = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(content).decode()


GOOD_KEY = f"v=DKIM1; k=rsa; p={key()}"


@pytest.fixture
def zone():
    return Zone()


@pytest.fixture
def names(zone):
    with serving(zone) as port:
        yield Names([("127.0.0.1", port)])


def check(names, relay="mail.example", selectors=("s1",)):
    found = mail_records.check(HOME, selectors, relay, names)
    return {each.record: each for each in found}


def test_all_is_fine(zone, names):
    zone.texts = {
        HOME: ["some-other=text", "v=spf1 include:amazonses.com ~all"],
        f"s1._domainkey.{HOME}": [GOOD_KEY],
        f"_dmarc.{HOME}": ["v=DMARC1; p=quarantine; rua=mailto:d@larkfield.example"],
    }

    found = check(names, "email-smtp.eu-west-1.amazonaws.com")

    assert {name: (each.state, each.code) for name, each in found.items()} == {
        "SPF": ("fine", "spf_fine"), "DKIM": ("fine", "dkim_fine"), "DMARC": ("fine", "dmarc_quarantine"),
    }  # fmt: skip


def test_nothing_is_there_and_what_to_publish_is_said(names):
    found = check(names, "email-smtp.eu-west-1.amazonaws.com")

    assert {each.state for each in found.values()} == {"missing"}
    assert found["SPF"].publish == "v=spf1 include:amazonses.com ~all"
    assert found["DMARC"].publish == "v=DMARC1; p=none; rua=mailto:postmaster@larkfield.example"
    assert found["DKIM"].name == "s1._domainkey.larkfield.example"


def test_the_include_of_an_unknown_server_is_not_guessed(names):
    found = check(names)["SPF"]

    assert (found.code, found.publish) == ("spf_missing_unknown", "v=spf1 include:… ~all")


@pytest.mark.parametrize(
    ("records", "code", "publish"),
    [
        (["v=spf1 a ~all", "v=spf1 mx -all"], "spf_twice", ""),
        (["v=spf1 include:amazonses.com +all"], "spf_anybody", "v=spf1 include:amazonses.com ~all"),
        (["v=spf1 include:amazonses.com"], "spf_open", "v=spf1 include:amazonses.com ~all"),
        (["v=spf1 mx -all"], "spf_without", "v=spf1 include:amazonses.com mx -all"),
        (["v=spf1 " + "".join(f"include:{n}.example " for n in range(11)) + "-all"], "spf_long", ""),
        (["v=spf2 all", "v=spf10"], "spf_missing", "v=spf1 include:amazonses.com ~all"),
    ],
)
def test_a_wrong_spf_is_told_and_mended(zone, names, records, code, publish):
    zone.texts = {HOME: records}

    found = check(names, "email-smtp.eu-west-1.amazonaws.com")["SPF"]
    assert (found.code, found.publish) == (code, publish)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("v=DKIM1; p=", "dkim_withdrawn"),
        ("v=DKIM1; p=not-a-key", "dkim_unreadable"),
        (f"v=DKIM1; p={base64.b64encode(b'too short').decode()}", "dkim_unreadable"),
        (f"v=DKIM1; t=y; p={key()}", "dkim_testing"),
        (f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(32)).decode()}", "dkim_fine"),
        (GOOD_KEY, "dkim_fine"),
    ],
)
def test_keys_are_read(zone, names, record, code):
    zone.texts = {f"s1._domainkey.{HOME}": [record]}

    assert check(names)["DKIM"].code == code


def test_without_a_selector_nothing_is_said_of_the_key(names):
    assert (check(names, selectors=())["DKIM"].state, check(names, selectors=())["DKIM"].code) == (
        "unknown", "no_selector",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("records", "code"),
    [
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "dmarc_twice"),
        (["v=DMARC1; rua=mailto:x@y.example"], "dmarc_policy"),
        (["v=DMARC1; p=none"], "dmarc_none"),
        (["v=DMARC1;p=reject"], "dmarc_reject"),
    ],
)
def test_policies_are_read(zone, names, records, code):
    zone.texts = {f"_dmarc.{HOME}": records}

    assert check(names)["DMARC"].code == code


def test_a_domain_has_the_policy_of_the_one_above(zone, names):
    zone.texts = {f"_dmarc.{HOME}": ["v=DMARC1; p=reject; sp=quarantine"]}

    found = mail_records.check(f"mail.{HOME}", (), "mail.example", names)[-1]
    assert (found.state, found.code, found.name) == ("fine", "dmarc_quarantine", f"_dmarc.{HOME}")


@pytest.mark.parametrize("mood", ["silent", "failing"])
def test_a_name_server_that_does_not_answer_says_nothing_of_the_records(zone, names, mood, monkeypatch):
    monkeypatch.setattr(mail_records, "SECONDS", 0.3)
    zone.mood = mood

    assert {(each.state, each.code) for each in check(names).values()} == {("unknown", "silent")}


def test_a_long_answer_is_asked_for_again_by_tcp(zone, names):
    zone.texts, zone.mood = {HOME: ["v=spf1 " + "ip4:192.0.2.1 " * 40 + "-all"]}, "large"

    assert check(names)["SPF"].state == "fine"
    assert ("tcp", HOME) in zone.asked


# --- Kept, and looked up again -----------------------------------------------------------------------


@pytest.fixture
def sending(home, zone, now):
    """Mails go through Amazon, and the name server is ours."""
    handlers.load()
    gateways.connect("mail", SMTP, sender=f"Larkfield <c@{HOME}>", by=SYSTEM, now=now)
    with serving(zone) as port:
        home.settings = replace(home.settings, dns_servers=(("127.0.0.1", port),))
        yield zone


def test_every_domain_we_send_from_is_looked_up_and_kept(sending, cast, now, run_jobs):
    cast.entity.sender_address = "sign@labs.example"
    cast.entity.save()
    mail_domains.ask(now)
    mail_domains.ask(now)
    assert mail_domains.is_being_checked()
    assert Job.select().where(Job.kind == "check_mail_domains").count() == 1
    run_jobs(now)

    seen = mail_domains.overview()
    assert [(each.name, each.at) for each in seen] == [(HOME, now), ("labs.example", now)]
    assert not mail_domains.is_being_checked()
    assert all(mail_domains.in_words(finding) for each in seen for finding in each.findings)
    assert [each.name for each in mail_setup.state(now).domains] == [HOME, "labs.example"]


def test_what_has_changed_is_found_a_day_later(sending, now, run_jobs):
    mail_domains.ask(now)
    run_jobs(now)
    assert not mail_domains.overview()[0].is_fine

    sending.texts = {
        HOME: ["v=spf1 include:amazonses.com -all"], f"_dmarc.{HOME}": ["v=DMARC1; p=reject"],
        f"s1._domainkey.{HOME}": [GOOD_KEY],
    }  # fmt: skip
    mail_domains.set_selectors(HOME, "S1", by=SYSTEM, now=now)
    run_jobs(now)
    jobs.add("check_mail_domains_daily", now=now)
    run_jobs(now + timedelta(days=1))

    assert mail_domains.overview()[0].is_fine
    assert mail_domains.overview()[0].at == now + timedelta(days=1)


@pytest.mark.parametrize(
    ("domain", "typed"),
    [
        (HOME, "not a/selector"),
        (HOME, "a b c d e f g"),
        (HOME, "x" * 70),
        ("elsewhere.example", "s1"),
        (HOME, "é"),
    ],
)
def test_what_cannot_be_a_selector_is_refused(sending, now, domain, typed):
    with pytest.raises(Invalid) as raised:
        mail_domains.set_selectors(domain, typed, by=SYSTEM, now=now)

    assert set(raised.value.errors) == {"selectors"}
    assert mail_domains.selectors_of(HOME) == []


def test_nothing_is_asked_while_mails_stay_in_the_house(home, zone, now, run_jobs):
    with serving(zone) as port:
        home.settings = replace(home.settings, dns_servers=(("127.0.0.1", port),))
        mail_domains.ask(now)
        run_jobs(now)

    assert zone.asked == []
