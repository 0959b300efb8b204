"""Every address, asked by everybody: nobody gets what is not theirs, or learns that it exists."""

from __future__ import annotations

import re

import pytest

from portal.services import permissions
from tests.security import routes
from tests.security.world import SECRETS, STAFF

OUTSIDERS = ("stranger", "cleo", "cora", "disabled", "half", "fresh")
# What an outside person may open, besides public pages: their own account and their own signing.
OWN = ("account", "second_factor", "mine", "negotiations", "ceremony", "sign_in")
# Rules that no request of the crawl fills, each with its reason.
UNFILLED: dict[str, str] = {}
# Acts of a colleague on somebody else's contract that are meant to be open to them.
COLLEAGUES = {
    "new_contracts.copy": "a copy is a contract of their own",
    "negotiation.comment": "colleagues comment on each other's texts",
    "negotiation.settle": "and settle what was said",
}


def secrets_for(persona: str, path: str, given: dict[str, str]) -> list[str]:
    """What an answer must not say to these people; an address that names a thing may repeat its name.

    Cora signs with us herself, Hal and Fred work here: they know our addresses. Who holds the token
    of a mailed link is its reader.
    """
    known = {"cora": ("Quillgate", "LF-20"), "half": ("larkfield",), "fresh": ("larkfield",)}.get(persona, ())
    known += ("larkfield",) if persona == "cora" else ()
    if "token" in given:
        return []
    return [word for word in SECRETS if word not in path and not word.startswith(known or ("-",))]


def addresses(portal, method, breadth, *, is_particular=None):
    for rule in routes.rules(portal.app, method):
        if is_particular is not None and bool(routes.parameters(rule)) != is_particular:
            continue
        for given in routes.arguments(portal.world, portal.app, rule, breadth=breadth):
            yield rule, given, routes.address(portal.app, rule, given)


def test_every_address_of_the_map_can_be_asked_for(portal, world):
    empty = [
        rule.rule
        for rule in routes.rules(portal.app)
        if not routes.arguments(world, portal.app, rule) and rule.endpoint not in UNFILLED
    ]
    count = len(routes.rules(portal.app))

    assert not empty, f"the rich installation has nothing for {empty}"
    assert len(UNFILLED) <= count * 0.05


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("persona", OUTSIDERS)
def test_nobody_outside_gets_what_is_ours(portal, world, persona, method):
    faults = []
    for rule, given, path in addresses(portal, method, 3):
        if world.personas[persona].recipient and world.personas[persona].recipient.id in path:
            continue
        before = world.written()
        answer = portal.ask(persona, path, method)
        faults += [f"{answer}: {fault}" for fault in answer.faults]
        said = answer.text + str(answer.headers)
        faults += [f"{answer}: says {word}" for word in secrets_for(persona, path, given) if word in said]
        is_theirs = rule.endpoint.partition(".")[0] in OWN
        if answer.status == 200 and not routes.is_public(rule.endpoint) and not is_theirs:
            faults.append(f"{answer}: is shown")
        if world.written() != before:
            if method != "POST" and not set(world.changed()) <= routes.WRITES_BY_READING.get(
                rule.endpoint, set()
            ):
                faults.append(f"{answer}: changed {world.changed()}")
            world.back()

    assert not faults, "\n".join(faults[:20])


def normal(text: str, path: str) -> str:
    """An answer without what differs in every answer: its number, form tokens, its own address."""
    text = re.sub(r'name="csrf_token" value="[^"]*"', "", text)
    text = re.sub(r"<code>[0-9a-f]{16}</code>", "", text)
    for part in sorted({path, *path.split("/")}, key=len, reverse=True):
        if len(part) >= 6:
            text = text.replace(part, "…")
    return text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("persona", ["stranger", "cleo", "cora", "priya"])
def test_what_is_not_yours_looks_like_what_is_not_there(portal, world, persona, method):
    """The same status and the same page, whether the thing named in the address exists or not."""
    different = []
    for rule, given, path in addresses(portal, method, 2, is_particular=True):
        if routes.is_public(rule.endpoint) or "token" in given or rule.endpoint == "static_file":
            continue
        elsewhere = routes.address(portal.app, rule, routes.missing(rule, given))
        real, none = (portal.ask(persona, each, method) for each in (path, elsewhere))
        same = normal(real.text, path) == normal(none.text, elsewhere)
        if (real.status, same) != (none.status, True):
            different.append(f"{real} but {none.status} for {elsewhere}")
        if real.status < 400 and not real.location.startswith(("/sign-in", "/second-factor", "/mine")):
            different.append(f"{real}: {real.location}")
    world.back()

    assert not different, "\n".join(different[:20])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_each_role_does_what_its_permissions_say_and_no_more(portal, world, method):
    """A page whose permission a role lacks answers 403, before it has looked at anything."""
    faults, refused = [], 0
    people = {role: world.personas[role] for role in STAFF} | {
        "owner": world.personas["ben"], "administrator": world.personas["ada"], "": world.personas["priya"],
    }  # fmt: skip
    for rule, _given, path in addresses(portal, method, 1):
        permission = getattr(portal.app.view_functions[rule.endpoint], "required_permission", None)
        if permission is None:
            continue
        assert permission in permissions.all_permissions(), f"{rule.rule} asks for {permission}"
        for role, persona in people.items():
            if permission in permissions.PERMISSIONS.get(role, ()):
                continue
            before = world.written()
            answer = portal.ask(persona, path, method)
            refused += 1
            if answer.status != 403 or world.written() != before or answer.faults:
                faults.append(f"{role} without {permission}: {answer} {answer.faults}")

    assert not faults, "\n".join(faults[:20])
    assert refused > 200


def test_every_staff_page_names_a_permission_or_is_known_to_need_none(portal):
    """A new page without a guard is found here, even before somebody guesses its address."""
    bare = []
    for rule in routes.rules(portal.app):
        view = portal.app.view_functions[rule.endpoint]
        has_guard = hasattr(view, "required_permission") or hasattr(view, "__wrapped__")
        is_outside = rule.endpoint.partition(".")[0] in (*OWN, "home")
        if not has_guard and not is_outside and not routes.is_public(rule.endpoint):
            bare.append(f"{rule.rule} ({rule.endpoint})")

    assert not bare


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sensitive_acts_ask_for_a_fresh_code(portal, world, method):
    """An administrator who proved the code this morning is asked again, and nothing has happened yet."""
    asked = 0
    for rule, _given, path in addresses(portal, method, 1):
        view = portal.app.view_functions[rule.endpoint]
        if not getattr(view, "asks_step_up", False):
            continue
        permission = view.required_permission
        if permission not in permissions.PERMISSIONS["administrator"]:
            continue
        before, asked = world.written(), asked + 1

        answer = portal.ask("stale", path, method)

        assert answer.status == 303, str(answer)
        assert answer.location.startswith("/step-up?next=%2F"), answer.location
        assert world.written() == before, str(answer)
    assert asked >= 5


def test_a_colleague_changes_nothing_of_somebody_elses_contract(portal, world, samples):
    """Ben may read Ana's contracts and start his own; hers stay as they are."""
    faults, tried = [], 0
    for sample in samples.values():
        permission = getattr(portal.app.view_functions[sample.endpoint], "required_permission", None)
        if "/contracts/LF-" not in sample.path or permission is None or sample.endpoint in COLLEAGUES:
            continue
        if world.contracts["bens"].reference in sample.path:
            continue
        before, tried = world.written(), tried + 1
        answer = portal.ask("ben", sample.path, "POST", data=sample.values())
        if world.written() != before:
            if world.changed():
                faults.append(f"{answer}: changed {world.changed()}")
            world.back()
        if answer.status < 400:
            faults.append(f"{answer}: not refused")

    assert not faults, "\n".join(faults)
    assert tried > 15


def test_one_signers_browser_opens_nobody_elses_place(portal, world):
    """Claire's cookie is good for Claire: the same request for anybody else is a page that is not there."""
    own, opened = world.personas["claire"].recipient.id, []
    for method in ("GET", "POST"):
        for _rule, given, path in addresses(portal, method, 100, is_particular=True):
            if "recipient_id" not in given or "reference" in given or given["recipient_id"] == own:
                continue
            before = world.written()
            answer = portal.ask("claire", path, method)
            if answer.status != 404 or world.written() != before:
                opened.append(str(answer))

    assert not opened, "\n".join(opened[:20])


def test_who_proved_an_address_sees_only_what_is_theirs(portal, world):
    """`/mine` of Claire names her contracts, and not one of Cora's or of a colleague's address."""
    answer = portal.ask("proved", "/mine")

    assert answer.status == 200
    assert "Zephyrine" in answer.words
    assert "Magpie" not in answer.words
    for name, recipient in world.recipients.items():
        if recipient.email != "claire@castellan.example":
            refused = portal.ask("proved", f"/mine/{recipient.id}/open", "POST")
            assert refused.status == 404, name
