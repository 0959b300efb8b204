"""Mailed links in real browsers: opening one changes nothing, two people's in one browser never mix,
and `/mine` shows somebody their own contracts only."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3

import pytest

from portal.services import handlers, jobs
from tests.browser import people
from tests.processes import until

pytestmark = pytest.mark.browser

BOTH = [
    pytest.param({"scripted": True, "width": "wide", "language": "en"}, id="script-wide-en"),
    pytest.param({"scripted": False, "width": "narrow", "language": "fr"}, id="plain-narrow-fr"),
]
# Of each of the two browsers; together a thousand in the long run.
LOADS = 500 if os.environ.get("COUNTERSIGN_TEST_LONG") == "1" else 30
PREFETCH = {"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"}
# What a scanner does that runs scripts: it has each link fetched ahead, in every way there is, asks for
# each with HEAD and GET, and touches every control without pressing one.
SCAN = """async () => {
  const links = [...new Set([...document.querySelectorAll("a[href]")].map((link) => link.href))];
  const ours = links.filter((url) => url.startsWith(location.origin));
  const rules = document.createElement("script");
  rules.type = "speculationrules";
  rules.textContent = JSON.stringify({prerender: [{urls: ours}], prefetch: [{urls: ours}]});
  document.head.append(rules);
  for (const url of ours) {
    const ahead = Object.assign(document.createElement("link"), {rel: "prefetch", href: url});
    document.head.append(ahead);
    await Promise.all(["HEAD", "GET"].map((method) => fetch(url, {method, redirect: "follow"})));
  }
  for (const control of document.querySelectorAll("a, button, input, summary")) {
    control.focus();
    control.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
  }
  return ours.length;
}"""


def send_to_two(walkers, walk, company):
    """A contract whose two outside people are asked at the same time and need only their links."""
    nora = walkers(**walk)
    people.sign_in(nora, "Nora")
    word = re.sub(r"\W+", "-", company.lower())
    mails = {name: f"{name.lower()}@{word}.example" for name in ("Ida", "Rolf")}
    reference = people.draft(nora, company=company, signer="Ida Berg", email=mails["Ida"], fee="900")
    people.add_signer(nora, reference, company=company, name="Rolf Dahl", email=mails["Rolf"], order="1")
    people.send(nora, reference)
    return nora, reference, mails


def standing(nora, reference, name):
    """How somebody's line reads on our side's page of the signing."""
    nora.page.goto(f"{nora.base}/contracts/{reference}/signing")
    return nora.page.locator("#people li").filter(has_text=name).inner_text()


def everything(sample):
    """Every row of every table, but for jobs that the worker gives itself and its word that it lives."""
    database = sqlite3.connect(f"file:{sample.data_dir / 'countersign.db'}?mode=ro", uri=True)
    with contextlib.closing(database):
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        own = ", ".join(f"'{kind}'" for kind in jobs.RECURRING)
        but = {
            "job": f" WHERE kind NOT IN ({own})",
            "installation_fact": " WHERE name != 'worker_seen'",
        }
        return {name: set(database.execute(f'SELECT * FROM "{name}"{but.get(name, "")}')) for name in names}


def at_rest(sample):
    """The database once no job is under way."""
    handlers.load()
    until(lambda: not [row for row in everything(sample)["job"] if "ready" in row or "running" in row])
    return everything(sample)


@pytest.mark.parametrize("walk", BOTH)
def test_what_scanners_open_over_and_over_changes_not_one_row(walkers, walk, sample):
    """The mailed link, and the two pages a mail names, with everything that a program can do but press."""
    nora, reference, mails = send_to_two(walkers, walk, f"Skerry {walk['language']} AS")
    link = people.link_to(nora, mails["Ida"], reference)
    pages = [link, *(f"{nora.base}/{page}?reference={reference}" for page in ("open", "is-this-real"))]
    scanner = walkers(scripted=True, width=walk["width"], bypasses_csp=True)
    methods, followed = set(), 0
    scanner.context.on("request", lambda request: methods.add(request.method))
    before = at_rest(sample)

    for turn in range(LOADS):
        page = pages[turn % len(pages)]
        scanner.page.goto(page, wait_until="load")
        followed += scanner.page.evaluate(SCAN)
        for headers in ({}, PREFETCH):
            assert scanner.context.request.get(page, headers=headers).status == 200
        assert scanner.context.request.head(page).status == 200

    after = at_rest(sample)
    changed = {name: after[name] ^ before[name] for name in before if after[name] != before[name]}
    assert not changed, changed
    assert methods == {"GET", "HEAD"}
    assert followed >= LOADS
    assert "countersign-signing" not in str(scanner.context.cookies())
    assert nora.say("Opened") not in standing(nora, reference, "Ida Berg")
    ida = walkers(**walk)
    people.begin(ida, link, code=False)
    assert nora.say("Opened") in standing(nora, reference, "Ida Berg")


@pytest.mark.parametrize("walk", BOTH)
def test_two_peoples_links_in_one_browser_never_mix(walkers, walk):
    nora, reference, mails = send_to_two(walkers, walk, f"Fjord {walk['language']} AS")
    shared = walkers(**walk)
    ida, rolf = shared.page, shared.context.new_page()
    rolf.set_default_timeout(20_000)

    def as_(page):
        shared.page = page
        return shared

    people.begin(as_(ida), people.link_to(nora, mails["Ida"], reference), code=False)
    people.begin(as_(rolf), people.link_to(nora, mails["Rolf"], reference), code=False)
    assert ida.url != rolf.url
    ida.reload()
    names = [page.get_by_label(name_field(shared)).first.input_value() for page in (ida, rolf)]
    assert names == ["Ida Berg", "Rolf Dahl"]

    people.read_and_sign(as_(rolf), reference)
    ida.reload()
    assert ida.get_by_label(name_field(shared)).first.input_value() == "Ida Berg"
    assert nora.say("Signed") not in standing(nora, reference, "Ida Berg")
    people.read_and_sign(as_(ida), reference)

    for name in ("Ida Berg", "Rolf Dahl"):
        assert nora.say("Signed") in standing(nora, reference, name)
    stranger = walkers(**walk)
    for page in (ida, rolf):
        assert stranger.context.request.get(page.url).status == 404


def name_field(walker):
    return re.compile("^" + re.escape(walker.say("Your name, as you sign")))


@pytest.mark.parametrize("walk", BOTH)
def test_my_contracts_lead_to_what_is_asked_and_show_nothing_else(walkers, walk):
    nora, reference, mails = send_to_two(walkers, walk, f"Holm {walk['language']} AS")
    ida = walkers(**walk)
    ida.open("/mine")
    ida.fill("Your mail address", mails["Ida"])
    ida.press("Mail me a link")
    ida.sees("Look in your mail")
    link = people.newest_message(nora, mails["Ida"], r"http://\S+/mine/[\w-]+")

    ida.open(link)
    ida.press("Continue")
    shown = ida.page.locator("main").inner_text()
    assert set(re.findall(r"MW-\d+-\d+", shown)) == {reference}
    ida.press("Read and sign", also=reference)
    people.speak(ida)
    ida.tick("I agree to receive and sign these records electronically")
    ida.press("Continue")
    people.read_and_sign(ida, reference)

    ida.open("/mine")
    ida.sees("What you answered")
    assert (
        ida.say("Signed") in ida.page.locator("section", has_text=ida.say("What you answered")).inner_text()
    )
    ida.press("Leave this page")
    assert reference not in ida.page.locator("main").inner_text()
    ida.page.goto(link)
    ida.sees("This link has ended")
