"""Requests that somebody else's page made a browser send: refused everywhere, and nothing has happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.security import routes
from tests.security.catalogue import may_try
from tests.security.world import marked_as_sample

REFUSAL = "did not come from this site"
FOREIGN = {
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "a foreign origin": {"Origin": "https://evil.example"},
    "another host of the same site": {"Sec-Fetch-Site": "same-site"},
    "cross-site, with our origin": {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    "an unknown word": {"Sec-Fetch-Site": "friendly"},
    "an origin like ours": {"Origin": "http://localhost.evil.example"},
    "our host at another port": {"Origin": "http://localhost:8443"},
    "no origin to speak of": {"Origin": "null"},
}


@contextmanager
def tokens_checked(portal) -> Iterator[None]:
    """The application as it is installed."""
    portal.app.config["WTF_CSRF_ENABLED"] = True
    try:
        with marked_as_sample(portal.world):
            yield
    finally:
        portal.app.config["WTF_CSRF_ENABLED"] = False


def form_token(portal, persona):
    """The token of a form, and the cookie it belongs to."""
    page = portal.ask(persona, "/verify")
    cookie = next(c for c in page.headers.getlist("Set-Cookie") if c.startswith("countersign-form="))
    name, _equals, value = cookie.partition(";")[0].partition("=")
    return page.root.xpath("//input[@name='csrf_token']/@value")[0], (name, value)


def forged(portal, sample, headers=None, token=None, cookie=None):
    values = sample.values()
    if token is not None:
        values["csrf_token"] = token
    return sample.send(portal, values, headers=headers, cookies=(cookie,) if cookie else ())


def faults_of(portal, answer, before, *, from_a_browser=False):
    """`from_a_browser`: with headers that only a browser sends, which no machine's call may bear."""
    own = routes.OWN_PROOF.get(answer.endpoint, ()) if not from_a_browser else ()
    if answer.status not in own and (answer.status != 400 or REFUSAL not in answer.words):
        yield f"{answer}: not refused as forged"
    if portal.world.written() != before:
        kept = routes.KEPT_UNPROVED.get(answer.endpoint, set()) if own else set()
        if not set(portal.world.changed()) <= kept:
            yield f"{answer}: wrote to {portal.world.changed()}"
        portal.world.back()


def test_every_address_with_an_act_is_among_those_tried(portal, samples):
    acts = {rule.endpoint for method in routes.UNSAFE for rule in routes.rules(portal.app, method)}

    assert acts == set(samples)


def test_a_form_without_its_token_or_with_anothers_is_refused(portal, world, samples):
    faults = []
    with tokens_checked(portal):
        other_token, _cookie = form_token(portal, "stranger")
        own = {persona: form_token(portal, persona) for persona in {s.persona for s in samples.values()}}
        for sample in samples.values():
            token, cookie = own[sample.persona]
            for sent in ({}, {"token": other_token}, {"token": token + "x"}, {"token": ""}):
                before = world.written()
                faults += faults_of(portal, forged(portal, sample, cookie=cookie, **sent), before)
            before = world.written()
            faults += faults_of(portal, forged(portal, sample, token=token), before)

    assert not faults, "\n".join(faults[:20])


@pytest.mark.parametrize("how", list(FOREIGN))
def test_a_form_from_another_site_is_refused_even_with_a_good_token(portal, world, samples, how, is_long):
    """The first two ways at every address; in the short run the others at every third."""
    faults, ways = [], list(FOREIGN)
    whole = is_long or ways.index(how) < 2
    tried = list(samples.values()) if whole else list(samples.values())[ways.index(how) % 3 :: 3]
    with tokens_checked(portal):
        own = {persona: form_token(portal, persona) for persona in {s.persona for s in samples.values()}}
        for sample in tried:
            token, cookie = own[sample.persona]
            before = world.written()
            answer = forged(portal, sample, FOREIGN[how], token, cookie)
            faults += faults_of(portal, answer, before, from_a_browser=True)

    assert not faults, "\n".join(faults[:20])


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}])
def test_our_own_forms_pass_the_same_check(portal, world, samples, headers):
    """Otherwise the refusals above would prove nothing."""
    refused = []
    with tokens_checked(portal):
        own = {persona: form_token(portal, persona) for persona in {s.persona for s in samples.values()}}
        for sample in samples.values():
            token, cookie = own[sample.persona]
            answer = forged(portal, sample, headers, token, cookie)
            world.back()
            if answer.status == 400 or answer.faults:
                refused.append(f"{answer} {answer.faults}")

    assert not refused, "\n".join(refused[:20])


def test_a_token_may_also_come_in_htmx_s_header(portal, world, samples):
    sample = samples["parties.create"]
    with tokens_checked(portal):
        token, cookie = form_token(portal, sample.persona)
        headers = {"X-CSRFToken": token, "HX-Request": "true"}

        answer = forged(portal, sample, headers, cookie=cookie)

    assert answer.status == 204, str(answer)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_changes_nothing(portal, world, method, is_long):
    """Every page, as those who may open it: not one row of any table is written."""
    faults, read = [], 0
    with marked_as_sample(world):
        for rule in routes.rules(portal.app, "GET"):
            for given in routes.arguments(
                world, portal.app, rule, breadth=40 if is_long else 9 if method == "GET" else 3
            ):
                path = routes.address(portal.app, rule, given)
                for persona in readers(world, given):
                    if not may_try(portal, rule.endpoint, persona, given):
                        continue
                    before, read = world.written(), read + 1
                    answer = portal.ask(persona, path, method)
                    if world.written() != before:
                        expected = routes.WRITES_BY_READING.get(rule.endpoint, set())
                        if not set(world.changed()) <= expected:
                            faults.append(f"{answer}: changed {world.changed()}")
                        world.back()
                    faults += [f"{answer}: {fault}" for fault in answer.faults]

    assert not faults, "\n".join(faults[:20])
    assert read > 150


def readers(world, given):
    own = [name for name, p in world.personas.items() if p.recipient and p.recipient.id in given.values()]
    return own or ["ana", "ada", "half", "fresh", "proved"]
