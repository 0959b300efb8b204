"""Addresses nobody should be led to, asked in ways nobody expects."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
from werkzeug.datastructures import MultiDict

from portal.models.notices import Notice
from portal.services import jobs, notices
from tests.security import routes
from tests.security.payloads import ELSEWHERE, HOSTS, METHODS
from tests.security.world import ISSUER, marked_as_sample

A_PAGE = "/account"


def leads_away(location):
    """Whether a browser would leave this site for what a Location says; the way to the one identity
    provider that an administrator connected is meant."""
    plain = "".join(c for c in location if ord(c) > 32).replace("\\", "/")
    if not plain or (plain.startswith(f"{ISSUER}/go?") and "evil" not in plain):
        return False
    parts = urlsplit(plain)
    return bool(parts.scheme or parts.netloc) or plain.startswith("//") or not plain.startswith("/")


# --- Redirects ----------------------------------------------------------------------------------


def followers(portal, world, samples):
    """Forms and pages whose answer follows `next`: found by asking, so that new ones are tried too."""
    found = []
    for sample in samples.values():
        for place in ("form", "query"):
            answer = follow(portal, sample, place, A_PAGE)
            world.back()
            if A_PAGE in (answer.location, *hidden_next(answer)) or quote(A_PAGE, safe="") in answer.location:
                found.append((sample, place))
    return found


def follow(portal, sample, place, target):
    values = sample.values()
    if place == "form":
        values.setlist("next", [target])
        return sample.send(portal, values)
    values.poplist("next")
    path = f"{sample.path}?next={quote(target, safe='')}"
    return portal.ask(sample.persona, path, "POST", data=values)


def hidden_next(answer):
    return answer.root.xpath("//input[@name='next']/@value") if answer.root is not None else []


def test_next_never_leads_to_another_site(portal, world, samples, is_long):
    """Forty-odd ways of writing a foreign address, shared out over the forms that go on to `next`."""
    away = []
    with marked_as_sample(world):
        found = followers(portal, world, samples)
        for number, (sample, place) in enumerate(found):
            for target in ELSEWHERE if is_long else ELSEWHERE[number % 4 :: 4]:
                answer = follow(portal, sample, place, target)
                away += [f"{answer}: {fault}" for fault in answer.faults]
                if answer.location and leads_away(answer.location):
                    away.append(f"{answer} by {place}: {target!r} gave {answer.location!r}")
                away += [f"{answer}: kept {kept!r}" for kept in hidden_next(answer) if leads_away(kept)]
                world.back()

    assert not away, "\n".join(away[:20])
    assert len(found) >= 6, [sample.endpoint for sample, _place in found]


def test_pages_hand_on_no_foreign_next(portal, world):
    """Every page asked with a foreign `next`: neither a redirect nor a link or field of it leads there."""
    away = []
    for rule in routes.rules(portal.app, "GET"):
        for given in routes.arguments(world, portal.app, rule, breadth=1)[:1]:
            path = routes.address(portal.app, rule, given)
            for target in (ELSEWHERE[0], ELSEWHERE[2], ELSEWHERE[5]):
                for persona in ("stranger", "ana"):
                    answer = portal.ask(persona, f"{path}?next={quote(target, safe='')}")
                    away += [f"{answer}: {fault}" for fault in answer.faults]
                    away += [f"{answer}: kept {kept!r}" for kept in hidden_next(answer) if leads_away(kept)]
                    if answer.location and leads_away(answer.location):
                        away.append(f"{answer}: {answer.location}")
        world.back()

    assert not away, "\n".join(away[:20])


def test_no_redirect_or_page_repeats_a_foreign_host(portal, world):
    """Whoever asks by another name is never told to go there, and no link of ours carries that name."""
    wrong = []
    for path in ("/", "/contracts", "/sign-in", "/contracts/", "//contracts", "/mine", "/verify", "/healthz"):
        for host in HOSTS:
            for persona in ("ana", "stranger"):
                answer = portal.ask(persona, path, headers={"Host": host, "X-Forwarded-Host": "evil.example"})
                if answer.status >= 500:
                    wrong.append(f"{answer} {answer.faults} for {host[:40]!r}")
                if "evil" in answer.text or "evil" in answer.location:
                    wrong.append(f"{answer} repeats {host!r}: {answer.location}")

    assert not wrong, "\n".join(wrong[:20])


def test_mails_never_carry_the_name_that_a_request_was_sent_to(portal, world):
    """A reset asked for under a foreign Host still links to where the portal is."""
    portal.ask(
        "stranger", "/password-reset", "POST", data={"email": "ana@larkfield.example"},
        headers={"Host": "evil.example"},
    )  # fmt: skip
    jobs.run_due("test", lambda: world.now)
    newest = Notice.select().where(Notice.kind == "password_reset").order_by(Notice.id.desc()).get()

    assert "/password-reset/" in notices.read(newest)[0]
    assert "evil.example" not in "".join(notices.read(newest))


# --- Paths --------------------------------------------------------------------------------------


def tricks(path, name):
    """Other ways of writing an address with a name in it."""
    yield path.replace(name, "%2e%2e")
    yield path.replace(name, "..%2f..%2fetc%2fpasswd")
    yield path.replace(name, name + "%00")
    yield path.replace(name, name + "%0d%0aX-Evil:%201")
    yield path.replace(name, "%ff%fe")
    yield path.replace(name, "%ed%a0%80")
    yield path.replace(name, "%f0%9f%92%a9" * 20)
    yield path.replace(name, "e%cc%81" * 500)
    yield path.replace(name, "9" * 60)
    yield path.replace(name, "-1")
    yield path.replace(name, "x" * 20_000)
    yield path.replace(name, "'%20OR%201=1--")
    yield path.replace(name, "{{7*7}}")
    yield path.replace(name, "<script>cnry()</script>".replace("<", "%3C").replace(">", "%3E"))
    yield path.replace(name, name + ";x=1")
    yield path.replace(name, name.swapcase())
    yield path.replace(name, "%c0%ae%c0%ae")
    yield path.replace(name, "\u202e")
    yield path + "/"
    yield "/" + path
    yield path.replace("/", "//")
    yield path + "/../../settings"
    yield path + "/%2e%2e/%2e%2e/settings"
    yield path + "%2f"
    yield path + "?" + "a=1&" * 2000
    yield path + "?q=%ff%fe%00&after=%00&before=%ff&sort=%00&state=%ff&open=%00&next=%ff"
    yield path + "?q=&after=eyJ4&before=W10&sort=title&owner=%00&party=%00"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_odd_paths_are_not_there_and_break_nothing(portal, world, method, is_long):
    """Dots, nulls, half characters, endless names: a page that says no, never an error or another's page."""
    faults, tried = [], 0
    for number, rule in enumerate(routes.rules(portal.app, method)):
        for given in routes.arguments(world, portal.app, rule, breadth=1)[:1]:
            path = routes.address(portal.app, rule, given)
            names = [str(value) for value in given.values()] or [path.rpartition("/")[2] or "x"]
            for trick in list(tricks(path, names[-1]))[0 if is_long else number % 3 :: 1 if is_long else 3]:
                tried += 1
                for persona in ("ana", "stranger") if is_long or tried % 4 == 0 else ("ana",):
                    answer = portal.ask(persona, trick, method)
                    faults += [f"{answer}: {fault}" for fault in answer.faults]
                    if answer.location and leads_away(answer.location):
                        faults.append(f"{answer}: leads to {answer.location[:100]}")
        world.back()

    assert not faults, f"{len(faults)}\n" + "\n".join(faults[:20])
    assert tried > 600


def test_numbers_in_addresses_may_be_as_large_as_anybody_likes(portal, world):
    faults = []
    for rule in routes.rules(portal.app, "GET"):
        for given in routes.arguments(world, portal.app, rule, breadth=1)[:1]:
            for name, value in given.items():
                if isinstance(value, int):
                    for number in (0, 2**31, 2**63 - 1, 2**63, 10**40, 10**4000):
                        path = routes.address(portal.app, rule, given | {name: 77777}).replace(
                            "77777", digits(number)
                        )
                        answer = portal.ask(reader(world, path), path)
                        if answer.status not in (404, 409):
                            faults.append(f"{answer} {answer.faults}")

    assert not faults, "\n".join(faults[:20])


def digits(number):
    """More than Python itself would read, which are 4300."""
    return "1" + "0" * 5000 if number > 10**1000 else str(number)


def reader(world, path):
    return next((n for n, p in world.personas.items() if p.recipient and p.recipient.id in path), "ana")


COOKIES = ("countersign", "countersign-signing", "countersign-form", "language", "zone")
ODD = ("", "x", "x" * 3500, "../../etc/passwd", "/etc/localtime", "Europe", "fr\x00", "%00", '"quoted"',
       "\xff\xfe", "{}", "null", "Etc/GMT+99", "posix/Europe/Paris", ".eJwBAAD__w.x.x",
       "fr; zone=x", "é")  # fmt: skip
ODD_IN_HEADERS = ("bytes=0-", "*", "*;q=x", "fr;q=1e999,en;q=-1", "javascript:alert(1)", "http://[::1")
HEADERS = ("Accept-Language", "Accept", "Range", "If-None-Match", "If-Modified-Since", "HX-Current-URL",
           "HX-Target", "HX-Trigger", "Referer", "Origin", "User-Agent", "Content-Type", "Authorization",
           "X-Request-Id", "Accept-Encoding", "X-CSRFToken", "Sec-Fetch-Site", "Cookie")  # fmt: skip


def test_odd_cookies_break_nothing(portal, world):
    faults = []
    for name in COOKIES:
        for value in ODD:
            for persona in ("stranger", "ana"):
                for path in ("/sign-in", "/contracts", "/mine", "/verify"):
                    answer = portal.ask(persona, path, cookies=((name, value),))
                    faults += [f"{answer} with {name}={value[:30]!r}: {fault}" for fault in answer.faults]

    assert not faults, "\n".join(faults[:20])


def test_odd_headers_break_nothing(portal, world, is_long):
    faults = []
    signing = f"/ceremony/{world.recipients['signing.claire'].id}"
    for name in HEADERS:
        for value in (*(ODD if is_long else ODD[:8]), *ODD_IN_HEADERS):
            headers = {name: value.replace("\x00", "")}
            asked = (("ana", "/contracts"), ("claire", signing), ("claire", f"{signing}/pages/1.webp"))
            for persona, path in asked:
                answer = portal.ask(persona, path, headers=headers)
                faults += [f"{answer} with {name}: {value[:30]!r}: {fault}" for fault in answer.faults]
            answer = portal.ask(
                "ana", "/account/profile", "POST", data={}, headers=headers | {"HX-Request": "true"}
            )
            faults += [f"{answer} with {name}: {value[:30]!r}: {fault}" for fault in answer.faults]

    assert not faults, "\n".join(faults[:20])


# --- Methods ------------------------------------------------------------------------------------


def test_methods_that_a_page_does_not_know_do_nothing(portal, world, is_long):
    wrong = []
    for number, rule in enumerate(routes.rules(portal.app)):
        for given in routes.arguments(world, portal.app, rule, breadth=1)[:1]:
            path = routes.address(portal.app, rule, given)
            for method in (
                METHODS if is_long else (METHODS[number % len(METHODS)], "PUT", "DELETE", "OPTIONS")
            ):
                before = world.written()
                answer = portal.ask("ana", path, method, data=b"x=1")
                allowed = method == "OPTIONS" and answer.status in (200, 204)
                if (answer.status not in (400, 404, 405, 501) and not allowed) or world.written() != before:
                    wrong.append(str(answer))
                wrong += [f"{answer}: {fault}" for fault in answer.faults]

    assert not wrong, "\n".join(wrong[:20])


RENAMING = ("X-HTTP-Method-Override: POST", "X-HTTP-Method: DELETE", "X-Original-URL: /settings",
            "X-Rewrite-URL: /settings", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1")  # fmt: skip


@pytest.mark.parametrize("header", RENAMING)
def test_headers_that_rename_a_request_are_not_heard(portal, world, header):
    before, headers = world.written(), dict([header.split(": ")])

    assert portal.ask("stranger", "/settings", headers=headers).status == 303
    assert portal.ask("ben", "/settings", headers=headers).status == 403
    assert portal.ask("stranger", "/mailbox", headers=headers).status == 404
    assert portal.ask("ana", "/sign-out", headers=headers).status == 405
    assert world.written() == before


def test_a_field_of_a_form_does_not_rename_its_method(portal, world):
    before = world.written()
    values = MultiDict({"_method": "DELETE", "method": "PUT", "name": "x"})

    answer = portal.ask("ana", "/parties/new", "POST", data=values)

    assert answer.status == 422
    assert world.written() == before
