"""Signing through each provider's simulator in a real browser, behind our own check; changing provider.

Our side of it, the check, the hand-over and the way back, is walked with script and without. A provider
that opens only inside its own script is walked with script.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError

from providers import registry
from tests.browser import people
from tests.browser.conftest import Walker
from tests.processes import running, until
from tests.simulators.__main__ import described, served

pytestmark = pytest.mark.browser
PHONE = "+4791234509"  # of this file alone: a number gets six codes an hour


@pytest.fixture(scope="module")
def vendors():
    with served() as found:
        yield {vendor.name: vendor for vendor in found}


@pytest.fixture(scope="module")
def sample(vendors, tmp_path_factory):
    """A sample portal with an account at every provider."""
    accounts = tmp_path_factory.mktemp("accounts") / "accounts.json"
    accounts.write_text(json.dumps([described(vendor) for vendor in vendors.values()]))
    folder = tmp_path_factory.mktemp("connected")
    with running(folder, "demo", "--keep", "--accounts", str(accounts)) as tree:
        until(tree.jobs_worker)
        yield tree


def ways(name: str, number: int) -> dict[str, object]:
    """Every other provider without script, in French, on a wide screen; framed ones need script."""
    plain = number % 2 == 1 and not registry.capabilities(name).framed
    return {
        "scripted": not plain, "width": "wide" if plain else "narrow", "language": "fr" if plain else "en",
    }  # fmt: skip


def account_name(name: str) -> str:
    return f"{registry.label(name)} (simulated)"


def pass_the_gate(walker: Walker, watcher: Walker, email: str, reference: str) -> None:
    """Mailed link, consent, code by text message, an app set up on the way: all of it ours."""
    people.begin(walker, people.link_to(watcher, email, reference), code=True)
    people.type_text_code(walker, watcher, PHONE)
    walker.fill("Six-digit code the app shows now", people.app_code(walker.page.locator("#key").inner_text()))
    walker.press("Continue")


@pytest.mark.parametrize(("number", "name"), list(enumerate(registry.remote_names())))
def test_a_signer_is_checked_here_and_signs_at_the_provider(walkers, vendors, number, name):
    walk, vendor, label = ways(name, number), vendors[name], registry.label(name)
    email = f"ida-{name}@tind.example"
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    reference = people.draft(nora, company=f"Tind {name} AS", signer="Ida Berg", email=email, fee="15000")
    people.give_phone(nora, reference, "Ida Berg", PHONE)
    people.prepare(nora, reference, people.finance(walkers, walk))
    nora.page.get_by_label(account_name(name)).check()
    nora.press("Send %(reference)s", reference=reference)

    ida = walkers(**walk)
    ida.beyond = (vendor.origin,)
    pass_the_gate(ida, nora, email, reference)
    ida.sees("Sign with %(provider)s", provider=label)
    sign_there(ida, vendor, name, label)
    ida.page.wait_for_url(re.compile(r"/ceremony/\w+$"))
    ida.check()
    ida.sees("You have signed, %(name)s", name="Ida Berg")

    [envelope] = [e for e in vendor.sent() if any(p.email == email for p in e.people)]
    assert not [mail for mail in vendor.mails if mail.envelope_id == envelope.id]
    until(lambda: [p for p in envelope.people if p.email != email and p.status in ("sent", "opened")])
    vendor.complete(envelope.id)
    state = f"/contracts/{reference}/signing"
    until(lambda: nora.say("Our sealed record of evidence") in nora.open(state).inner_text("body"))
    nora.sees("Signed with")


def sign_there(walker: Walker, vendor: object, name: str, label: str) -> None:
    """Go on to the provider, again while it says that it is not ready, and press Sign there."""
    words = walker.say("Continue to %(provider)s", provider=label)
    if not registry.capabilities(name).returns:
        found: list[Page] = []
        until(lambda: found.append(beside(walker, words)) or found[-1].url.startswith(vendor.origin))
        found[-1].get_by_role("button", name="Sign", exact=True).click()
        found[-1].get_by_text("Thank you").wait_for()
        walker.press("I have finished there", "link")
        return
    if registry.capabilities(name).framed:
        walker.page.get_by_role("button", name=words).click()
        frame = walker.page.frame_locator("iframe")
        frame.get_by_role("button", name="Sign", exact=True).click()
        return
    until(lambda: has_left(walker, vendor.origin, words))
    walker.page.get_by_role("button", name="Sign", exact=True).click()


def beside(walker: Walker, words: str) -> Page:
    """What opens in a tab of its own."""
    with walker.page.context.expect_page() as opened:
        walker.page.get_by_role("button", name=words).click()
    page = opened.value
    page.wait_for_load_state("load")
    with contextlib.suppress(TimeoutError):
        page.wait_for_url(lambda url: not url.startswith(walker.base), timeout=3000)
    return page


def has_left(walker: Walker, origin: str, words: str) -> bool:
    if walker.page.url.startswith(origin):
        return True
    button = walker.page.get_by_role("button", name=words)
    if button.count():
        button.click()
    walker.page.wait_for_load_state("load")
    return walker.page.url.startswith(origin)


@pytest.mark.parametrize(
    "walk",
    [pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
     pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr")],
)  # fmt: skip
def test_an_administrator_tries_out_changes_and_brings_the_archive(walkers, vendors, sample, walk):
    from portal.clock import utc_now

    name = "signnow" if walk["scripted"] else "docusign"
    vendor = vendors[name]
    vendor.fill_archive(5, until=utc_now())
    grace = walkers(**walk)
    people.sign_in(grace, "Grace")
    grace.open("/settings/providers")
    grace.open("/settings/providers/compare")
    grace.open("/settings/providers")
    grace.press(account_name(name), "link")
    url = grace.address
    grace.press("Start a test run")
    until(lambda: grace.say("Start another test run") in grace.open(url).inner_text("body"), 120)
    assert grace.say("wrong") not in grace.text("#state")

    grace.open("/settings/providers/move")
    grace.page.get_by_label(grace.say("Through which one from now on")).select_option(
        label=account_name(name)
    )
    grace.press("See what would change")
    grace.fill("Code", people.own_code(walkers(**walk), "grace@mereworth.example"))
    grace.press("Continue")
    grace.sees("Templates")
    grace.press("Change to %(name)s", name=account_name(name))
    grace.open("/settings/providers")
    assert grace.say("New contracts go here") in grace.text("main")

    grace.open(f"{url}/archive")
    grace.press("Bring the archive")
    until(lambda: grace.say("Complete") in grace.open(f"{url}/archive").inner_text("#state"), 120)
    grace.sees("Report with fingerprints (CSV)")
    grace.open("/settings/providers")
    grace.press("Sign new contracts here again")
    connect_by_consent(grace, vendors["docusign"], sample.data_dir / "countersign.db")


def connect_by_consent(grace: Walker, vendor: object, database: Path) -> None:
    """A further account: its fields follow the method, a refused form loses nothing typed, and the
    vendor's own page lets us in."""
    name = f"Second, {grace.language}"
    grace.press("DocuSign", "link")
    choice = grace.page.get_by_label(
        grace.say("Authorization Code Grant: a person allows it, again after some weeks")
    )
    if grace.scripted:
        grace.act(choice.check)
    else:
        choice.check()
        grace.press("Show the fields for this choice")
    assert not grace.page.get_by_label("RSA Private Key").count()
    assert grace.address.endswith("/new/docusign")
    grace.fill("Name", name)
    grace.fill("Secret Key", vendor.accounts.secret)
    grace.press("Save and check")
    grace.sees("What you typed is kept. Leave it empty to use that.")
    assert vendor.accounts.secret not in grace.page.content()
    grace.fill("Integration Key", vendor.connection_settings()["integration_key"])
    grace.press("Save and check")
    grace.sees("One step is left at %(provider)s", provider="DocuSign")

    with contextlib.closing(sqlite3.connect(database, timeout=20)) as rows:  # no page names a simulator
        rows.execute("UPDATE connection SET server = ? WHERE name = ?", (vendor.origin, name))
        rows.commit()
    grace.beyond = (vendor.origin,)
    url = grace.address
    grace.page.get_by_role("button", name=grace.say("Connect"), exact=True).click()
    grace.page.wait_for_url(re.compile(re.escape(vendor.origin)))
    grace.page.get_by_role("button", name="Allow Access").click()
    grace.page.wait_for_url(url)
    until(lambda: grace.say("In use") in grace.open(url).inner_text("body"))
    grace.sees("For tests: what is signed there binds nobody")
    grace.press("Disconnect %(name)s", name=name)
    until(lambda: grace.say("Disconnected") in grace.open(url).inner_text("#state"))
