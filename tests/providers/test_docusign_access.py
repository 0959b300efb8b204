"""How DocuSign lets us in: consent and key, allowing and refreshing, and which account is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from providers import registry
from providers.errors import NotConfigured, Refused, Unavailable
from providers.interface import Connection, Tokens
from tests.simulators.docusign import DocuSign
from tests.simulators.docusign_oauth import ACCOUNT, INTEGRATION_KEY, JWT_GRANT, key_pair

BACK = "https://portal.example/settings/providers/oauth"
OTHER = "00000000-442a-4b32-8b6e-2f1a9c40f1aa"


class Clock:
    """The time of both sides."""

    def __init__(self):
        self.now = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    def __call__(self):
        return self.now


class Keeper:
    """Keeps tokens as the portal does, for several processes."""

    def __init__(self):
        self.tokens = None
        self.kept = 0

    def keep(self, tokens):
        self.tokens = tokens
        self.kept += 1

    def reload(self):
        return self.tokens


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def vendor(clock):
    with DocuSign(clock).serving() as vendor:
        yield vendor


@pytest.fixture
def keeper():
    return Keeper()


@pytest.fixture
def by_key(vendor, clock, keeper):
    """Connected by JWT grant."""
    return connected(vendor, clock, keeper)


@pytest.fixture
def by_code(vendor, clock, keeper):
    """Connected by authorization code."""
    return connected(vendor, clock, keeper, method="code", secret_key=vendor.accounts.secret)


def connected(vendor, clock, keeper, **changes):
    return registry.get("docusign", Connection(
        settings={**vendor.connection_settings(), **changes}, server=vendor.origin, clock=clock,
        tokens=keeper.tokens, keep=keeper.keep, reload=keeper.reload,
    ))  # fmt: skip


def press(url, act="allow"):
    """What a person does on the vendor's page; gives the query of the address they are sent back to."""
    page = requests.get(url, timeout=5)
    assert "Allow Access" in page.text
    back = requests.post(url, data={"act": act}, timeout=5, allow_redirects=False).headers["Location"]
    assert back.startswith(BACK + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


# --- By our own key -------------------------------------------------------------------------------


def test_the_key_alone_lets_us_in_and_its_token_is_used_until_a_minute_before_its_end(
    by_key, vendor, clock, keeper
):
    account = by_key.check()
    clock.now += timedelta(minutes=58)
    by_key.check()
    before = list(vendor.accounts.asked)
    clock.now += timedelta(minutes=1, seconds=1)
    by_key.check()

    assert (account.id, account.name, account.email, account.is_test) == (
        ACCOUNT, "Larkfield Software", "ana@larkfield.example", True,
    )  # fmt: skip
    assert before == [JWT_GRANT]
    assert vendor.accounts.asked == [JWT_GRANT, JWT_GRANT]
    assert keeper.kept == 2
    assert keeper.tokens.facts["base_uri"] == "https://demo.docusign.net"
    assert [seen.path for seen in vendor.seen].count("/oauth/userinfo") == 1


def test_without_consent_an_administrator_is_told_what_to_open(by_key, vendor):
    vendor.accounts.has_consent = False

    with pytest.raises(NotConfigured, match="consent") as caught:
        by_key.check()

    assert "Allow Access" in caught.value.sentence
    assert any("consent" in step.title for step in registry.steps("docusign"))


def test_consent_is_given_on_the_vendors_page(by_key, vendor):
    vendor.accounts.has_consent = False
    url = by_key.authorise_url(redirect_url=BACK, state="st4te")
    asked = parse_qs(urlsplit(url).query)

    answer = press(url)
    tokens = by_key.authorise(answer, redirect_url=BACK)

    assert answer["state"] == "st4te"
    assert asked["scope"] == ["signature impersonation"]
    assert asked["client_id"] == [INTEGRATION_KEY]
    assert tokens.facts["account_id"] == ACCOUNT
    assert vendor.accounts.asked == [JWT_GRANT]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user_id": "somebody-else"}, "user_not_found"),
        ({"integration_key": "another"}, "issuer_not_found"),
        ({"environment": "production"}, "issuer_not_found"),
        ({"private_key": "no key at all"}, "first and last line"),
        (
            {"private_key": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"},
            "cannot be",
        ),
        ({"private_key": ""}, "RSA Private Key"),
    ],
)
def test_what_is_wrong_with_the_key_is_told(vendor, clock, keeper, changes, said):
    with pytest.raises(NotConfigured, match=said) as caught:
        connected(vendor, clock, keeper, **changes).check()

    assert "AAAA" not in repr(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)


def test_a_key_pasted_with_windows_line_ends_works(vendor, clock, keeper):
    pasted = "  " + key_pair()[0].replace("\n", "\r\n") + "\r\n\r\n"

    assert connected(vendor, clock, keeper, private_key=pasted).check().id == ACCOUNT


# --- By a person who allows it --------------------------------------------------------------------


def test_allowing_gives_tokens_and_they_are_refreshed(by_code, vendor, clock, keeper):
    url = by_code.authorise_url(redirect_url=BACK, state="s")
    assert parse_qs(urlsplit(url).query)["scope"] == ["signature extended"]
    keeper.tokens = by_code.authorise(press(url), redirect_url=BACK)
    later = connected(vendor, clock, keeper, method="code", secret_key=vendor.accounts.secret)

    later.check()
    clock.now += timedelta(hours=2)
    later.check()

    assert vendor.accounts.asked == ["authorization_code", "refresh_token"]
    assert keeper.tokens.refresh in vendor.accounts.refreshes
    assert keeper.tokens.facts["account_id"] == ACCOUNT


def test_of_two_processes_the_second_takes_the_tokens_of_the_first(by_code, vendor, clock, keeper):
    keeper.tokens = by_code.authorise(
        press(by_code.authorise_url(redirect_url=BACK, state="s")), redirect_url=BACK
    )
    first, second = (
        connected(vendor, clock, keeper, method="code", secret_key=vendor.accounts.secret) for _ in range(2)
    )
    clock.now += timedelta(hours=2)

    first.check()
    second.check()

    assert vendor.accounts.asked == ["authorization_code", "refresh_token"]


def test_what_was_not_allowed_is_said(by_code):
    answer = press(by_code.authorise_url(redirect_url=BACK, state="s"), act="cancel")

    with pytest.raises(Refused, match="did not allow"):
        by_code.authorise(answer, redirect_url=BACK)


@pytest.mark.parametrize("answer", [{}, {"code": ""}, {"code": "made-up"}])
def test_a_made_up_answer_gives_nothing(by_code, answer):
    with pytest.raises(Refused):
        by_code.authorise(answer, redirect_url=BACK)


def test_a_wrong_secret_key_says_that_the_credentials_are_not_accepted(vendor, clock, keeper):
    wrong = connected(vendor, clock, keeper, method="code", secret_key="wrong")

    with pytest.raises(NotConfigured):
        wrong.authorise(press(wrong.authorise_url(redirect_url=BACK, state="s")), redirect_url=BACK)


def test_without_tokens_or_with_a_dead_refresh_an_administrator_connects_again(by_code, vendor, clock):
    with pytest.raises(NotConfigured):
        by_code.check()

    dead = Tokens("gone", clock.now - timedelta(hours=1), "gone-too", {"account_id": ACCOUNT})
    again = type(by_code)(replace(by_code.connection, tokens=dead))
    with pytest.raises(NotConfigured):
        again.check()
    assert vendor.accounts.asked == ["refresh_token"]


def test_trouble_while_refreshing_is_unavailable_and_keeps_the_tokens(by_code, vendor, clock, keeper):
    keeper.tokens = by_code.authorise(
        press(by_code.authorise_url(redirect_url=BACK, state="s")), redirect_url=BACK
    )
    later = connected(vendor, clock, keeper, method="code", secret_key=vendor.accounts.secret)
    clock.now += timedelta(hours=2)
    vendor.misbehave("503", method="POST", path="/oauth/token")

    with pytest.raises(Unavailable):
        later.check()
    assert later.check().id == ACCOUNT


# --- Whose account --------------------------------------------------------------------------------


def test_the_account_set_is_taken_rather_than_the_default(vendor, clock, keeper):
    tokens = connected(vendor, clock, keeper, account_id=OTHER).renew(None)

    assert (tokens.facts["account_id"], tokens.facts["base_uri"]) == (OTHER, "https://na3.docusign.net")


def test_another_account_is_looked_for_when_the_setting_changed(by_key, vendor, clock, keeper):
    by_key.check()

    tokens = connected(vendor, clock, keeper, account_id=OTHER).renew(keeper.tokens)

    assert tokens.facts["account_id"] == OTHER


def test_a_user_without_an_account_is_told(by_key, vendor, monkeypatch):
    from tests.simulators.vendor import answer

    monkeypatch.setattr(
        vendor.accounts, "userinfo", lambda request: answer({"name": "Ana", "accounts": None})
    )

    with pytest.raises(NotConfigured, match="has no DocuSign account"):
        by_key.check()


def test_an_account_the_user_does_not_have_is_told(vendor, clock, keeper):
    with pytest.raises(NotConfigured, match="no-such"):
        connected(vendor, clock, keeper, account_id="no-such").check()


@pytest.mark.parametrize(
    "address",
    ["http://demo.docusign.net", "https://docusign.net.evil.example", "https://evil.example", "", "nonsense"],
)
def test_tokens_go_to_the_vendors_own_hosts_alone(by_key, vendor, address):
    vendor.accounts.base_uri = address

    with pytest.raises(NotConfigured, match="host"):
        by_key.check()

    assert not [seen for seen in vendor.seen if seen.path.startswith("/restapi")]


def test_the_environment_chooses_the_account_server(vendor, clock, keeper):
    production = registry.get("docusign", Connection(settings={
        **vendor.connection_settings(), "environment": "production",
    }))  # fmt: skip

    assert production.authorise_url(redirect_url=BACK, state="s").startswith(
        "https://account.docusign.com/oauth/auth?response_type=code&"
    )
