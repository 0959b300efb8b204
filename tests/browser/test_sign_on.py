"""An administrator connects an identity provider; a new colleague joins by it, with roles, and without
our code once the provider's second factor is believed."""

from __future__ import annotations

import re

import pytest

from tests.browser import people
from tests.simulators.oidc import Provider, running

pytestmark = pytest.mark.browser

BOTH = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param(
        {"scripted": False, "width": "narrow", "language": "fr", "dark": True}, id="plain-narrow-fr"
    ),
]


@pytest.fixture
def provider():
    with running(Provider()) as made:
        yield made


def connect(grace, provider, name):
    """Everything an administrator does, from the settings to a check that holds."""
    grace.open("/settings")
    grace.press("Sign-in with a company account", "link")
    grace.press("Another identity provider", "link")
    if "/step-up" in grace.page.url:
        grace.fill("Code", people.own_code(grace, "grace@mereworth.example"))
        grace.press("Continue")
    grace.press("Connect")
    grace.sees("Write an address that begins with https://, such as https://login.example.com.")
    grace.fill("Name on the button", name)
    grace.fill("Issuer", provider.issuer)
    grace.fill("Client ID", provider.client_id)
    grace.fill("Client secret", provider.secret)
    grace.fill("Domains of mail addresses", "walk.example")
    grace.tick("joins by themselves")
    grace.field("Their first role").select_option("owner")
    grace.tick("Believe the provider’s second factor")
    grace.fill("Claim that holds groups or roles", "groups")
    grace.fill("Auditor", "audit")  # unfolded by the refusal
    grace.press("Connect")
    grace.press("Check")
    grace.sees("It works")


def come(walker, provider, name, login, *, second):
    """The button, the provider's own page, and back."""
    walker.beyond = (provider.issuer,)
    walker.open("/contracts")
    page = walker.page
    page.get_by_role("link", name=re.compile(name)).click()
    page.wait_for_url(re.compile("^" + re.escape(provider.issuer)))
    page.get_by_label("Account").select_option(login)
    if second:
        page.get_by_label("Prove a second factor").check()
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("^" + re.escape(walker.base)))
    walker.check()


@pytest.mark.parametrize("walk", BOTH)
def test_a_colleague_joins_by_the_provider(walkers, provider, walk):
    name, login = f"Walk {walk['language']}", f"wanda-{walk['language']}"
    provider.add(login, email=f"{login}@walk.example", groups=["audit"], locale=walk["language"])
    provider.add("eve", email="eve@elsewhere.example")
    grace = walkers(**walk)
    people.sign_in(grace, "Grace")
    connect(grace, provider, name)

    stranger = walkers(**walk)
    come(stranger, provider, name, "eve", second=True)
    stranger.sees("Accounts of this company are not taken here. Use the one you work with.")

    wanda = walkers(**walk)
    come(wanda, provider, name, login, second=False)
    wanda.sees("Connect an authenticator app")
    wanda.unfold("Type a key instead")
    wanda.fill("Code", people.app_code(wanda.page.locator("#key").inner_text()))
    wanda.press("Connect the app")
    wanda.press("I have kept them")
    assert wanda.page.url == f"{wanda.base}/contracts"
    wanda.open("/account")
    wanda.sees("Auditor")
    wanda.sees("Contract owner")

    again = walkers(**walk)
    come(again, provider, name, login, second=True)
    assert again.page.url == f"{again.base}/contracts"
    again.open("/account/password")
    again.page.get_by_role("link", name=re.compile(name)).click()
    again.page.get_by_label("Account").select_option(login)
    again.page.get_by_label("Prove a second factor").check()
    again.page.get_by_role("button", name="Sign in").click()
    again.page.wait_for_url(re.compile(re.escape(again.base) + "/account/password"))

    grace.open("/settings/sign-on")
    grace.press("Switch off", also=name)
    gone = walkers(**walk)
    gone.open("/sign-in")
    assert name not in gone.page.locator("body").inner_text()
