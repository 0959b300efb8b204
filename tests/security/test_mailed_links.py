"""Links in mails: whoever opens one changes nothing, and none is good for anything but its purpose."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging

import pytest

from portal import logs
from portal.models.envelopes import LinkToken, Right
from portal.models.people import PersonToken, Session
from portal.services import links, person_tokens, sessions
from tests.security.payloads import SCANNERS
from tests.security.world import TYPED

# The purpose of each token, and the addresses that are made for it.
PURPOSES = {
    "sign": ("/sign/",), "copy": ("/sign/",), "voided": ("/sign/",), "expired": ("/sign/",),
    "invitation": ("/invitation/",), "password_reset": ("/password-reset/",),
    "access": ("/access/", "/mine/"), "negotiate": ("/negotiate/",),
}  # fmt: skip
# Secret addresses that no mail holds: read by programs, with nothing to press.
UNMAILED = {"calendar": ("/calendar/",)}
LOADS = 1000


def link_addresses(portal):
    """Every address of the map that takes a token, with each act below it."""
    found = []
    for rule in portal.app.url_map.iter_rules():
        if "token" in rule.arguments:
            path = rule.rule.replace("<token>", "{token}")
            for aside in ("not-me", "paper", "decline"):
                found.append((path.replace("<any('not-me', 'paper', 'decline'):aside>", aside), rule))
    return sorted({(path, method) for path, rule in found for method in rule.methods - {"OPTIONS"}})


def test_programs_that_open_every_link_change_nothing(portal, world):
    """A thousand loads with what scanners, previews and prefetching browsers send."""
    before, digests = world.written(), world.tables()
    paths = [f"{path}{world.tokens[purpose]}" for purpose, starts in PURPOSES.items() for path in starts]
    loads = itertools.islice(itertools.cycle(itertools.product(paths, SCANNERS, ("GET", "HEAD"))), LOADS)
    broken = []

    for path, headers, method in loads:
        answer = portal.ask("stranger", path, method, headers=headers)
        broken += [f"{answer}: {fault}" for fault in answer.faults]
        assert not [c for c in answer.headers.getlist("Set-Cookie") if "form" not in c], str(answer)

    assert not broken, "\n".join(broken[:10])
    assert world.written() == before
    assert world.tables() == digests


def test_no_page_behind_a_link_sends_itself(portal, world):
    """One button that a person presses: no script of its own, no field that focuses a submit, no refresh."""
    for purpose, starts in PURPOSES.items():
        for start in starts:
            answer = portal.ask("stranger", f"{start}{world.tokens[purpose]}")
            scripts = answer.root.xpath("//script/@src")

            assert not answer.root.xpath("//*[starts-with(@hx-trigger, 'load')]"), str(answer)
            assert not answer.headers.get("Refresh"), str(answer)
            assert all(source.startswith("/static/") for source in scripts), scripts


def test_a_token_of_one_purpose_opens_no_other_address(portal, world):
    """Each token at each address that takes one, with every method: accepted only where it belongs."""
    accepted, tried = [], 0
    for name, token in world.tokens.items():
        for path, method in link_addresses(portal):
            if path.startswith((PURPOSES | UNMAILED)[name]):
                continue
            before, tried = world.written(), tried + 1
            answer = portal.ask("stranger", path.format(token=token), method, data=GOOD)
            is_read = method in ("GET", "HEAD")
            if answer.status not in (404, 410) and not (is_read and is_same_for_all(portal, path, answer)):
                accepted.append(str(answer))
            if world.written() != before and set(world.changed()) - {"attempt"}:
                accepted.append(f"{answer}: changed {world.changed()}")
            world.back()

    assert not accepted, "\n".join(accepted)
    assert tried >= 60


GOOD = {"consent": "yes", "name": "Mallory", "password": "a very long walk", "repeated": "a very long walk"}


def is_same_for_all(portal, path, answer):
    """A page with one button that says the same for a good token and for a made-up one."""
    return portal.ask("stranger", path.format(token="x" * 43)).status == answer.status


def test_tokens_changed_in_any_way_open_nothing(portal, world):
    """Shortened, lengthened, in other letters, with line ends, as another encoding."""
    opened, tried = [], 0
    for name in ("sign", "copy", "invitation", "password_reset", "access"):
        token = world.tokens[name]
        for changed in variants(token):
            for start in PURPOSES[name]:
                before, tried = world.written(), tried + 1
                answer = portal.ask("stranger", start + changed, "POST", data=GOOD)
                if answer.status < 400 or world.written() != before:
                    opened.append(f"{answer} {world.changed() if world.written() != before else ''}")
                world.back()

    assert not opened, "\n".join(opened[:20])
    assert tried > 250


def variants(token):
    yield from (token[:length] for length in (1, 10, len(token) - 1))
    yield from (token + more for more in ("A", "=", "%00", "%0A", "%20", ".", "/", "%2F", "%E2%80%8B"))
    yield from (more + token for more in ("A", "%00", "%20", "."))
    yield token.swapcase()
    yield token[::-1]
    for position in range(0, len(token), 2):
        other = "A" if token[position] != "A" else "B"
        yield token[:position] + other + token[position + 1 :]
    yield from ("0" * 43, "null", "undefined", "[]", "*", "%", "_" * 43, "a" * 5000)


def test_a_token_opens_nobody_elses_place(portal, world):
    """Cora's link gives a right to Cora's place alone, whatever address it is carried to."""
    token = links.issue(world.recipients["corvid.cora"], now=world.now)
    answer = portal.ask("stranger", f"/sign/{token}", "POST", data={"consent": "yes"})
    cookies = tuple(
        tuple(c.partition(";")[0].split("=", 1))
        for c in answer.headers.getlist("Set-Cookie")
        if "form" not in c
    )
    own = world.recipients["corvid.cora"].id

    assert portal.ask("stranger", f"/ceremony/{own}", cookies=cookies).status == 200
    for name, recipient in world.recipients.items():
        if recipient.id != own:
            assert portal.ask("stranger", f"/ceremony/{recipient.id}", cookies=cookies).status == 404, name


@contextlib.contextmanager
def logs_read():
    """Everything that is logged meanwhile, as it would stand in the file."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    watched = [logging.getLogger(), logs.LOG, logging.getLogger("werkzeug")]
    for each in watched:
        each.addHandler(handler)
    try:
        yield stream
    finally:
        for each in watched:
            each.removeHandler(handler)


@contextlib.contextmanager
def breaking(portal):
    """The application as it is installed, with something of ours that breaks in every request."""
    portal.app.testing = False
    before = portal.app.before_request_funcs.setdefault(None, [])
    before.append(break_down)
    try:
        yield
    finally:
        portal.app.testing = True
        before.remove(break_down)


@pytest.mark.parametrize("purpose", ["sign", "copy", "invitation", "password_reset", "access"])
def test_logs_and_tables_hold_no_token(portal, world, purpose):
    """Neither after a good visit, nor after a refused one, nor when something breaks on the way."""
    token = world.tokens[purpose]
    with logs_read() as stream:
        for start in PURPOSES[purpose]:
            for method in ("GET", "HEAD", "POST", "PUT"):
                answer = portal.ask("stranger", start + token, method, data={"consent": "yes"})
                assert token not in (answer.location or ""), str(answer)
                world.back()
        with breaking(portal):
            assert portal.ask("stranger", PURPOSES[purpose][0] + token).status == 500

    assert stream.getvalue(), "a failure that nobody can read about"
    assert token not in stream.getvalue()
    for line in stream.getvalue().splitlines():
        assert line.startswith("{"), line
    kept = [row.sha256 for model in (LinkToken, PersonToken, Session) for row in model.select()]
    assert token not in repr(world.rows())
    assert sessions.digest(token) in kept


def test_logs_addresses_and_tables_hold_no_typed_code(portal, world):
    """The code of a mail, typed well, typed again, and typed while something breaks."""
    code = TYPED["code"]
    with logs_read() as stream:
        answers = [portal.ask("stranger", "/open", "POST", data=TYPED) for _twice in range(2)]
        with breaking(portal):
            answers.append(portal.ask("stranger", "/open", "POST", data=TYPED))

    assert [answer.status for answer in answers] == [303, 422, 500]
    assert stream.getvalue(), "a failure that nobody can read about"
    for spelling in (code, code.replace("-", ""), code.lower(), code.lower().replace("-", "")):
        assert spelling not in stream.getvalue()
        assert spelling not in repr(world.rows())
        assert spelling not in answers[0].location


def break_down():
    raise RuntimeError("something of ours")


def test_ten_thousand_tokens_are_all_different_and_long(world):
    made = {sessions.new_token() for _each in range(10_000)}

    assert len(made) == 10_000
    assert all(len(token) >= 43 for token in made)


def test_a_used_or_replaced_link_is_dead(portal, world):
    """An access link works once; a new password link kills the one before."""
    first = portal.ask("stranger", f"/mine/{world.tokens['access']}", "POST")
    again = portal.ask("stranger", f"/mine/{world.tokens['access']}", "POST")
    person_tokens.issue(person_tokens.RESET, email=world.cast.ben.email, person=world.cast.ben, now=world.now)
    older = portal.ask("stranger", f"/password-reset/{world.tokens['password_reset']}")

    assert (first.status, again.status) == (303, 410)
    assert older.status in (404, 410)


def test_opening_a_link_again_gives_a_new_cookie_each_time(portal, world):
    """Whoever planted a cookie before the link was pressed holds nothing afterwards (S-10)."""
    planted = (("countersign-signing", "planted-by-somebody-else"),)
    answer = portal.ask(
        "stranger", f"/sign/{world.tokens['sign']}", "POST", data={"consent": "yes"}, cookies=planted
    )
    recipient = world.recipients["signing.marc"]

    assert answer.status == 303
    assert "planted" not in str(answer.headers.getlist("Set-Cookie"))
    assert portal.ask("stranger", f"/ceremony/{recipient.id}", cookies=planted).status == 404
    assert Right.select().where(Right.recipient == recipient).count() == 1
