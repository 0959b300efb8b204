"""Every mail has two twins, HTML and plain: the same sentences in the same order, the same links."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from jinja2 import meta
from lxml import html as markup

from portal.services import mail_senders, rendering

KINDS = sorted(
    {path.stem for path in (rendering.TEMPLATES / "mail").glob("*.html")} - {"base", "paragraphs"}
    | {path.stem for path in (rendering.TEMPLATES / "mail" / "words").glob("[!_]*.txt")}
)
LINK = "https://contracts.larkfield.example/sign/abc?x=1&y=2"
PRINTED = {"en": "If the button does not work", "fr": "Si le bouton"}


def context(now):
    """All that any kind asks for, with letters that HTML must escape."""
    company = {
        "name": "Larkfield & Sons <Ltd>", "address": "14 Welsh Back, Bristol",
        "logo_url": "", "logo_size": (0, 0),
    }  # fmt: skip
    known = {
        "company": company, "name": "Claire “C.” O’Brien & Co", "has_phi": False, "link": LINK,
        "url": lambda path: f"https://portal.example{path}", "role": "signer", "factors": ["sms", "totp"],
        "counts": {"proposals": 2, "answers": 1, "comments": 3, "agreed": 1}, "count": 2, "number": 3,
        "pages": 6, "act": "signed", "reminders": 5, "minutes": 30, "days": 7, "hours": 24, "left": 3,
        "roles": ["Contract owner"], "at": now, "until": now + timedelta(days=1), "when": now,
        "title": "Support <Premium> & more", "reference": "LF-2026-0147", "span": "month", "currency": "EUR",
        "real_address": "https://portal.example/is-this-real", "sentences": ["A & B failed.", "C <waits>."],
        "use": SimpleNamespace(messages=400, most_messages=500, amount=Decimal(28), most_amount=Decimal(35)),
    }  # fmt: skip
    return {name: invented(name, now) for name in asked_for()} | known


def asked_for():
    """Whatever name a template mentions that nobody sets: a new kind of mail is tried without a line here."""
    source = rendering.environment().loader
    found = set()
    for path in (
        *(rendering.TEMPLATES / "mail").glob("*.*"),
        *(rendering.TEMPLATES / "mail" / "words").glob("*"),
    ):
        name = str(path.relative_to(rendering.TEMPLATES))
        text = source.get_source(rendering.environment(), name)[0]
        found |= meta.find_undeclared_variables(rendering.environment().parse(text))
    return found - set(rendering.environment().globals) - set(rendering.SHELL) - {"words"}


def invented(name, now):
    return now + timedelta(days=9) if name.endswith("_at") else f"the {name} & <more>"


def squeezed(text):
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


def html_blocks(text, language):
    """The words a reader of the HTML sees, block by block; the hidden first line is for inboxes."""
    root = markup.fromstring(text)
    for hidden in root.xpath("//*[contains(@style, 'display:none')] | //title"):
        hidden.drop_tree()
    for row in root.xpath("//tr[count(td) = 2]"):
        label, value = row.xpath("td")
        label.text = (label.text or "") + ":"
        value.text = " " + (value.text or "")
    for link in root.xpath("//a[contains(@style, 'display:inline-block')]"):
        link.text = f"{link.text}: {link.get('href')}"
    for node in root.xpath("//p | //br | //h1 | //td | //tr | //div | //li"):
        node.tail = "\n" + (node.tail or "")
        if node.tag == "td" and len(node.getparent().xpath("td")) == 2:
            node.tail = ""
    blocks = [squeezed(line) for line in root.text_content().splitlines()]
    return without_print(" ".join(each for each in blocks if each), language)


def without_print(words, language):
    """The address to type, which the plain twin shows as the link itself."""
    return re.sub(rf"{PRINTED[language]}.*?: {re.escape(LINK)} ?", "", words)


def plain_words(text):
    return squeezed(text.replace("\n-- \n", "\n"))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_twins_say_the_same_in_the_same_order(now, kind, language):
    made = rendering.mail(kind, language, "Europe/Paris", context(now))

    assert html_blocks(made.html, language) == plain_words(made.text)
    assert made.subject


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_twins_lead_to_the_same_places(now, kind, language):
    made = rendering.mail(kind, language, "Europe/Paris", context(now))

    links = {each for each in markup.fromstring(made.html).xpath("//a/@href") if not each.startswith("tel:")}
    assert links <= set(re.findall(r"https?://[^\s]+", made.text))
    assert (LINK in links) == (LINK in made.text)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched_when_a_mail_is_opened(now, kind):
    company = {**context(now)["company"], "logo_url": mail_senders.LOGO, "logo_size": (64, 32)}
    made = rendering.mail(kind, "en", "Europe/Paris", context(now) | {"company": company})

    root = markup.fromstring(made.html)
    assert root.xpath("//img/@src") == ["cid:logo"]
    assert root.xpath("//img/@alt") == [""], "the name stands beside it"
    assert root.xpath("//img/@width") == ["64"]
    assert not re.search(r"url\(|<link|<script|@import|srcset", made.html)


def test_every_kind_is_looked_at():
    assert {"sign_request", "reminder", "completed", "invitation", "access", "mail_test"} <= set(KINDS)
    assert len(KINDS) >= 20
