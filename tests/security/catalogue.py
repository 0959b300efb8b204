"""The forms of the portal, found on its own pages: what a test sends is what a browser would send."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from tests.security import routes, world
from tests.security.browser import Answer, Portal
from tests.security.markup import Field, forms
from tests.services import signing

READERS = (
    "ana", "ada", "legal", "ben", "auditor", "stranger", "half", "fresh", "cleo", "proved", "done", "claire",
    "nina", "theo", "tess", "vera", "tom", "hana", "gina", "carl", "noah", "hugo", "paula", "cora", "stale",
)  # fmt: skip
TYPED = ("text", "textarea", "email", "tel", "search", "date", "number", "url", "password")
# What a person would type where the page leaves a field empty, by the end of its name.
GOOD = {
    "email": "quince@castellan.example", "email_1": "quince@castellan.example", "password": world.PASSWORD,
    "current": world.PASSWORD, "repeated": world.PASSWORD, "passphrase": world.PASSWORD,
    "code": "123456", "start": "2027-02-01",
    "length": "12", "fee": "300", "phone": "+33612345638", "word": "harbour", "country": "FR",
    "limit_amount": "5000", "valid_from": "2026-01-01", "valid_until": "2030-01-01", "value_over": "1000",
    "liability_over": "1000", "months_over": "6", "registration": "RCS 1", "reference_prefix": "QU",
    "party": "Castellan Pharma SA", "drawn": "", "email_2": "", "email_3": "", "name_2": "", "name_3": "",
    "expires_on": "", "zone": "Europe/Paris", "name": "Quince Aubert",
}  # fmt: skip
# Where the right answer depends on who asks.
SPECIAL = {
    ("sign_in.check_password", "email"): lambda: "ana@larkfield.example",
    ("invitations.enter", "reference"): lambda: world.TYPED["reference"],
    ("invitations.enter", "code"): lambda: world.TYPED["code"],
}
PER_PLACE = 3  # links that differ in their query only, followed per page


@dataclass
class Sample:
    """One form as it stood on a page, and who may send it."""

    endpoint: str
    path: str
    persona: str
    fields: list[Field] = field(default_factory=list)
    is_found: bool = True
    worked: int = 0
    offered: frozenset[str] = frozenset()  # names that any form for this address has

    def names(self) -> list[str]:
        return list(dict.fromkeys(each.name for each in self.fields))

    def typed_names(self) -> list[str]:
        return [each.name for each in self.fields if each.kind in TYPED]

    def values(self) -> MultiDict[str, Any]:
        """The form filled in as somebody would who reads the labels."""
        filled: MultiDict[str, Any] = MultiDict()
        seen_radio: set[str] = set()
        for each in self.fields:
            if each.name == "csrf_token":
                continue
            if (self.endpoint, each.name) in SPECIAL:
                filled.setlist(each.name, [SPECIAL[self.endpoint, each.name]()])
            elif each.kind in ("button", "submit"):
                filled.setdefault(each.name, each.value)
            elif each.kind == "file":
                filled.add(each.name, upload(each.name))
            elif each.kind == "radio":
                if each.ticked or each.name not in seen_radio:
                    seen_radio.add(each.name)
                    filled.setlist(each.name, [each.value])
            elif each.kind == "checkbox":
                filled.add(each.name, each.value)
            elif each.kind == "select":
                filled.add(each.name, each.value or next((o for o in each.options if o), ""))
            else:
                filled.add(each.name, each.value or good(each))
        return filled

    def send(self, portal: Portal, values: Any, **more: Any) -> Answer:
        """As a browser encodes it; half characters go out as the bytes a hostile one would send."""
        if not any(isinstance(value, tuple) for _name, value in pairs(values)):
            body = urlencode(pairs(values), encoding="utf-8", errors="surrogatepass")
            more.setdefault("content_type", "application/x-www-form-urlencoded")
            return portal.ask(self.persona, self.path, "POST", data=body, **more)
        return portal.ask(self.persona, self.path, "POST", data=multipart(values), **more)


def pairs(values: Any) -> list[tuple[str, Any]]:
    return list(values.items(multi=True)) if isinstance(values, MultiDict) else list(values.items())


def multipart(values: Any) -> MultiDict[str, Any]:
    """Values beside a file; the test client can only encode whole characters."""
    return MultiDict(
        (name, value.encode("utf-8", "replace").decode() if isinstance(value, str) else value)
        for name, value in pairs(values)
    )


def good(asked: Field) -> str:
    last = asked.name.rsplit(".", 1)[-1].split(":")[-1]
    last = "email" if last.endswith("email") else last
    if last in GOOD:
        return GOOD[last]
    if asked.kind == "hidden":
        return ""
    if asked.kind == "date":
        return (world.utc_now() + timedelta(days=20)).date().isoformat()
    return "Quince words"


def upload(name: str) -> tuple[BytesIO, str]:
    if "logo" in name:
        return BytesIO(world.LOGO), "logo.svg"
    return BytesIO(signing.printed(1, 2).pdf), "order.pdf"


def open_pages(portal: Portal, *, breadth: int = 20) -> list[Answer]:
    """Every page that the people of the installation can open, and what they link to by a query."""
    found = []
    for rule in routes.rules(portal.app, "GET"):
        for given in routes.arguments(portal.world, portal.app, rule, breadth=breadth):
            path = routes.address(portal.app, rule, given)
            for persona in READERS:
                if not may_try(portal, rule.endpoint, persona, given):
                    continue
                answer = portal.ask(persona, path)
                if answer.status == 200:
                    found.append(answer)
    return found + [portal.ask(persona, path) for persona, path in sorted(queries(portal, found))]


def queries(portal: Portal, found: list[Answer]) -> set[tuple[str, str]]:
    """Addresses with a query that pages link to: a few values of each, per page and reader."""
    seen: dict[tuple[str, str, str], set[str]] = {}
    for answer in found:
        for link in answer.root.xpath("//a/@href") if answer.root is not None else ():
            path, _mark, query = link.partition("#")[0].partition("?")
            if not query or not path.startswith("/") or portal.endpoint(path, "GET") is None:
                continue
            names = "&".join(part.partition("=")[0] for part in query.split("&"))
            values = seen.setdefault((answer.persona, portal.endpoint(path, "GET") or "", names), set())
            if len(values) < PER_PLACE or ("open=" in query and answer.persona == "ana" and len(values) < 30):
                values.add(f"{path}?{query}")
    return {(persona, path) for (persona, _endpoint, _names), values in seen.items() for path in values}


def may_try(portal: Portal, endpoint: str, persona: str, given: dict[str, Any]) -> bool:
    """Leave out who cannot open it anyway (other tests ask exactly that), or sees what Ana sees."""
    who = portal.world.personas[persona]
    if "recipient_id" in given and "reference" not in given:
        return who.recipient is not None and who.recipient.id == given["recipient_id"]
    if hasattr(portal.app.view_functions[endpoint], "required_permission"):
        few = list(portal.world.contracts.values())[:2]
        is_among = "reference" not in given or given["reference"] in [each.reference for each in few]
        return persona == "ana" or (persona in ("ada", "legal", "ben") and is_among)
    return persona in ("ana", "stranger", "half", "fresh", "stale", "cleo", "proved")


def collect(portal: Portal, pages: list[Answer]) -> dict[str, Sample]:
    """For each address that takes a form one that works, or else the first one seen."""
    candidates: dict[str, list[Sample]] = {}
    for answer in pages:
        if answer.root is None:
            continue
        for form in forms(answer.root, answer.path):
            path = form.action if form.action.startswith("/") else answer.path
            endpoint = portal.endpoint(path, "POST")
            if endpoint is not None:
                candidates.setdefault(endpoint, []).append(
                    Sample(endpoint, path, answer.persona, form.fields)
                )
    found_forms = {endpoint: best(portal, samples) for endpoint, samples in sorted(candidates.items())}
    for endpoint, sample in found_forms.items():
        sample.offered = frozenset(name for each in candidates[endpoint] for name in each.names())
    return found_forms


def best(portal: Portal, samples: list[Sample], most: int = 12) -> Sample:
    """The first form that is taken when it is filled in well."""
    different = {(each.persona, each.path, *each.names()): each for each in samples}
    tried = list(different.values())
    random.Random(7).shuffle(tried)
    for sample in tried[:most]:
        answer = sample.send(portal, sample.values())
        sample.worked = answer.status
        portal.world.back()
        if answer.status < 400:
            return sample
    return min(tried[:most], key=lambda each: each.worked)


def complete(portal: Portal, found: dict[str, Sample]) -> dict[str, Sample]:
    """A sample for every address that takes a form, with an empty one where no page shows it."""
    whole = dict(found)
    for rule in routes.rules(portal.app, "POST"):
        if rule.endpoint not in whole:
            whole[rule.endpoint] = unseen(portal, rule)
    return dict(sorted(whole.items()))


def unseen(portal: Portal, rule: Any, most: int = 24) -> Sample:
    """The first way to fill the rule that is not turned away before its form is read."""
    first = None
    for given in routes.arguments(portal.world, portal.app, rule, breadth=12)[:most]:
        path = routes.address(portal.app, rule, given)
        sample = Sample(rule.endpoint, path, persona_for(portal, rule.endpoint, path), is_found=False)
        first = first or sample
        sample.worked = sample.send(portal, {}).status
        portal.world.back()
        if sample.worked not in (403, 404):
            return sample
    assert first is not None, f"nothing in the installation fills {rule.rule}"
    return first


def persona_for(portal: Portal, endpoint: str, path: str) -> str:
    for name, persona in portal.world.personas.items():
        if persona.recipient is not None and persona.recipient.id in path:
            return name
    permission = getattr(portal.app.view_functions[endpoint], "required_permission", None) or ""
    return "ada" if permission.partition(".")[0] in ("person", "entity", "policy", "installation") else "ana"
