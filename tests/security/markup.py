"""What an HTML answer holds: its forms, and whatever our pages never hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from lxml import etree

from providers import market

LINKS = {"href", "src", "action", "formaction", "hx-get", "hx-post", "poster", "data", "cite", "background",
         "xlink:href"}  # fmt: skip
FORBIDDEN = {"style", "base", "object", "embed", "applet", "frame", "frameset", "marquee", "math", "portal",
             "isindex", "link-cnry"}  # fmt: skip
HTMX = {"hx-get", "hx-post", "hx-target", "hx-swap", "hx-trigger", "hx-push-url", "hx-include", "hx-select",
        "hx-indicator", "hx-disabled-elt", "hx-preserve", "hx-sync", "hx-replace-url",
        "hx-encoding"}  # fmt: skip
GOOD_LINK = re.compile(r"(?:/(?!/)|#|\?|mailto:|tel:|otpauth://totp/|$)")
# The one picture that a mail carries inside itself; nothing is fetched for it.
LOGO_INSIDE = ("img", "src", "cid:logo")
OUR_LINK = re.compile(r"https?://(?:127\.0\.0\.1|localhost|contracts\.example\.test)(?::\d+)?(?:/|$)")
# Where vendors say what their plans hold: the only addresses beyond the portal that its pages name.
VENDOR_PAGES = frozenset(each.url for each in market.FACTS.values() if each.url)
CANARY = re.compile(r"cnry", re.IGNORECASE)


@dataclass
class Field:
    """One control of a form; `kind` is the input's type, "select" or "textarea"."""

    name: str
    kind: str
    value: str
    options: list[str] = field(default_factory=list)
    ticked: bool = False


@dataclass
class Form:
    """One form as a browser without script would send it."""

    action: str
    fields: list[Field]
    is_multipart: bool = False


def parse(text: str) -> etree._Element | None:
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True)
    return etree.fromstring(text.encode("utf-8", "replace"), parser) if text.strip() else None


# --- What must not be there ----------------------------------------------------------------------


def faults(root: etree._Element, *, is_mail: bool = False) -> list[str]:
    """Inline style and script, foreign addresses, elements of no page of ours.

    Mails may style themselves: no mail program loads a style sheet.
    """
    found = []
    for element in root.iter(etree.Element):
        name = str(element.tag).lower()
        if is_mail and name == "style":
            continue
        if name in FORBIDDEN or CANARY.search(name):
            found.append(f"element <{name}>")
        if name == "script" and (not (element.get("src") or "").startswith("/static/") or element.text):
            found.append(f"script {element.get('src')} {(element.text or '')[:60]}")
        if name == "iframe" and not re.fullmatch(r"/mailbox/[a-z0-9]+/mail\.html", element.get("src") or ""):
            found.append(f"iframe {element.get('src')}")
        if name == "meta" and (element.get("http-equiv") or "").lower() not in ("", "content-type"):
            found.append(f"meta http-equiv {element.get('http-equiv')}")
        for attribute, value in element.attrib.items():
            if is_mail and attribute == "style" and not CANARY.search(value):
                continue
            if is_mail and (name, attribute, value) == LOGO_INSIDE:
                continue
            if (name, attribute, element.get("rel")) == ("a", "href", "noreferrer") and value in VENDOR_PAGES:
                continue
            found += attribute_faults(name, str(attribute).lower(), str(value))
    return found


def attribute_faults(element: str, name: str, value: str) -> Iterator[str]:
    if name.startswith("on") or name in ("style", "srcdoc", "ping") or CANARY.search(name):
        yield f"{name} on <{element}>"
    if name.startswith("hx-") and name not in HTMX:
        yield f"{name} on <{element}>"
    if name in LINKS and not is_good_link(value):
        yield f"{name}={value[:80]!r} on <{element}>"


@lru_cache(maxsize=4096)
def is_good_link(value: str) -> bool:
    plain = re.sub(r"[\x00-\x20]", "", value)
    return bool(GOOD_LINK.match(plain) or OUR_LINK.match(plain))


# --- Forms --------------------------------------------------------------------------------------


def forms(root: etree._Element, here: str) -> list[Form]:
    """The forms that post, and buttons that post elsewhere with the same fields."""
    found = []
    for element in root.iter("form"):
        if (element.get("method") or "get").lower() != "post":
            continue
        fields = [each for control in controls(root, element) for each in read(control)]
        is_multipart = element.get("enctype") == "multipart/form-data"
        found.append(Form(element.get("action") or here, fields, is_multipart))
        for button in element.iter("button", "input"):
            if button.get("formaction"):
                found.append(Form(button.get("formaction"), fields, is_multipart))
    return found


def controls(root: etree._Element, form: etree._Element) -> Iterator[etree._Element]:
    yield from form.iter("input", "select", "textarea", "button")
    if form.get("id"):
        yield from root.xpath("//*[@form=$id]", id=form.get("id"))


def read(element: etree._Element) -> Iterator[Field]:
    name = element.get("name")
    if not name or element.get("disabled") is not None:
        return
    if element.tag == "textarea":
        yield Field(name, "textarea", (element.text or "").removeprefix("\n"))
    elif element.tag == "select":
        options = [
            (each.get("value") or "", each.get("selected") is not None) for each in element.iter("option")
        ]
        chosen = next((value for value, is_on in options if is_on), options[0][0] if options else "")
        yield Field(name, "select", chosen, [value for value, _on in options])
    elif element.tag == "button":
        if element.get("type", "submit") == "submit" and element.get("value") is not None:
            yield Field(name, "button", element.get("value"))
    else:
        kind = (element.get("type") or "text").lower()
        ticked = element.get("checked") is not None
        yield Field(name, kind, element.get("value") or ("on" if kind == "checkbox" else ""), ticked=ticked)


def shown_values(root: etree._Element) -> dict[str, set[str]]:
    """What each control of a page holds, by name."""
    found: dict[str, set[str]] = {}
    for control in root.iter("input", "select", "textarea"):
        for each in read(control):
            if each.kind not in ("checkbox", "radio") or each.ticked:
                found.setdefault(each.name, set()).add(each.value)
    return found
