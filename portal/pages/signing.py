"""What each signing screen is given: plain values, with what never changes kept between requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from flask import render_template, url_for
from markupsafe import Markup

from portal import i18n
from portal.i18n import gettext as _
from portal.models.contracts import Document, Revision
from portal.models.envelopes import Recipient
from portal.models.parties import LegalEntity
from portal.models.people import Person
from portal.pages.forms import Form
from portal.services import (
    acts,
    code_messages,
    consents,
    documents,
    factors,
    hand_over,
    outside_factors,
    revisions,
    second_factors,
    signing_mails,
    sms_use,
)
from portal.services.ceremonies import Place
from portal.sla import sentences

TEMPLATES = {
    "consent": "ceremony/consent.html",
    "withdrawn": "ceremony/consent.html",
    "code": "ceremony/code.html",
    "totp": "ceremony/totp.html",
    "handed": "ceremony/handed.html",
    "enrol": "ceremony/enrol.html",
    "read": "ceremony/read.html",
    "review": "ceremony/review.html",
    "elsewhere": "ceremony/elsewhere.html",
    "done": "ceremony/done.html",
    "copy": "ceremony/done.html",
}
READING = ("read", "review", "elsewhere")
HEADING, PARAGRAPH = Markup("<h4>{}</h4>"), Markup("<p>{}</p>")
NUMBERED = re.compile(r"\d{1,2}\. [^\n.;:]{2,70}[^\n.;:,]")


def common(place: Place) -> dict[str, Any]:
    """What every screen shows: whose page it is, which contract, for whom."""
    entity, contract = place.contract.entity, place.contract
    logo = url_for("ceremony.logo", entity_id=entity.id) if entity.logo_type else ""
    return {
        "company": {"name": entity.name, "logo_url": logo},
        "reference": contract.reference,
        "place": place,
        "contract": contract,
        "recipient": place.recipient,
        "zone": place.zone,
        "asked_by": asked_by(place.sender, entity),
        "here": url_for("ceremony.page", recipient_id=place.recipient.id),
        "approves": place.recipient.role == "approver",
    }


def asked_by(sender: Person, entity: LegalEntity) -> dict[str, str]:
    """The colleague who asks, and the number that reaches them or the company."""
    phone, whose = signing_mails.telephone(sender, entity)
    return {"name": sender.name, "phone": phone, "whose_phone": whose}


def step(place: Place, at: str) -> tuple[int, int] | None:
    """Where this screen stands among all of this recipient's screens."""
    names = ["invite"]
    if place.recipient.is_consumer:
        names.append("consent")
    if place.recipient.factors:
        names.append("factor")
    names += ["elsewhere"] if place.recipient.is_embedded else ["read", "review"]
    name = "factor" if at in ("code", "totp", "handed", "enrol") else at
    if name == "consent" and "consent" not in names:
        name = "invite"
    return (names.index(name) + 1, len(names)) if name in names else None


def screen(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    """Everything the template of a screen needs."""
    more = SCREENS.get(at, closed)(place, at, form, now)
    return common(place) | {"step": step(place, at), "state": at, "form": form, "now": now} | more


# --- Before anything is proved -------------------------------------------------------------------


def invite(place: Place, now: datetime) -> dict[str, Any]:
    """Who asks whom for what, how long it takes and what it never takes."""
    pages, company = place.document.pages, place.contract.entity.name
    approves = place.recipient.role == "approver"
    return common(place) | {
        "step": step(place, "invite"),
        "invitation_title": _("%(company)s asks you to approve a contract", company=company)
        if approves
        else _("%(company)s asks you to sign a contract", company=company),
        "minutes": signing_mails.minutes(place.recipient, place.document),
        "pages": pages,
        "proofs": proofs(place, now),
        "disclosure": disclosure(place),
        "asks_consent": place.consent is None and not place.recipient.is_consumer,
        "ending": factors.ending(place.recipient) if factors.has_phone(place.recipient, now) else "",
    }


def proofs(place: Place, now: datetime) -> list[str]:
    """What has to be proved, in the order of the screens: code, app."""
    wanted = place.recipient.factors
    if wanted and (app := outside_factors.app_of(place)) is not None and not app.is_held(now):
        return ["app", "code"] if {"sms", "totp"} <= set(wanted) else ["app"]
    # Who has no app yet proves the number first, whatever is asked for.
    found = ["code"] if wanted and factors.has_phone(place.recipient, now) else []
    return found + (["app"] if "totp" in wanted or (wanted and not found) else [])


def disclosure(place: Place) -> consents.ConsentText:
    return consents.text(place.contract, contact=place.contact, language=i18n.current())


def consent(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    """Consent; before it, for somebody who typed a code, what the page of a mailed link says."""
    typed_in = factors.LINK not in place.held.factors_met
    return (invite(place, now) if typed_in else {"disclosure": disclosure(place)}) | {
        "is_consumer": place.recipient.is_consumer,
        "withdrawn": at == "withdrawn",
        "shows_invitation": typed_in and at != "withdrawn",
    }


# --- Factors --------------------------------------------------------------------------------------


def code(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    app, sent = outside_factors.app_of(place), factors.code_state(place.recipient, now)
    return {
        "sent": sent,
        "not_taken": code_messages.why(sent.message) if code_messages.is_not_taken(sent.message) else None,
        "is_closed": sms_use.is_closed(now),
        "is_late": code_messages.is_late(sent.message),
        "ending": factors.ending(place.recipient),
        "has_app": app is not None and not app.is_held(now) and "totp" not in place.recipient.factors,
        "needs_app": "totp" in place.recipient.factors,
        "may_replace": place.recipient.side == "theirs"
        and not {"sms", "totp"} <= set(place.recipient.factors),
    }


def totp(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    return {"may_text": may_text(place, now)}


def may_text(place: Place, now: datetime) -> bool:
    """Whether a text message does as well as the app."""
    return "totp" not in place.recipient.factors and factors.has_phone(place.recipient, now)


def prefers_text(place: Place, chosen: bool, now: datetime) -> bool:
    """Whether somebody with an app asked for a text message instead, now or a moment ago."""
    return may_text(place, now) and (chosen or factors.code_state(place.recipient, now).is_live)


def handed(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    return {
        "number_from": factors.held_until(place.recipient, now),
        "may_text": factors.has_phone(place.recipient, now),
    }


def enrol(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    secret = outside_factors.seed(place)
    return {
        "address": outside_factors.address(place, secret) if secret else "",
        "key": second_factors.grouped(secret),
        "optional": at == "app",
        "was_replaced": outside_factors.was_replaced(
            *outside_factors.owner_of(place.contract, place.recipient)
        ),
    }


# --- Reading and signing ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """One page: where its picture is, and its text as HTML."""

    number: int
    width: int
    height: int
    version: str
    text: Markup


@lru_cache(maxsize=64)
def leaves(document_id: str) -> tuple[Leaf, ...]:
    """The pages of a document; a document never changes, so neither do they."""
    document = Document.get_by_id(document_id)
    return tuple(
        Leaf(page.number, page.width, page.height, page.storage_key[-8:], paragraphs(page.text))
        for page in documents.pages(document)
    )


def paragraphs(text: str) -> Markup:
    """Plain text as paragraphs; blank lines part them, and a short numbered line is a heading."""
    parts = (part.strip() for part in text.split("\n\n"))
    return Markup("").join((HEADING if is_heading(p) else PARAGRAPH).format(p) for p in parts if p)


def is_heading(text: str) -> bool:
    return NUMBERED.fullmatch(text) is not None


@lru_cache(maxsize=64)
def leaf_html(document_id: str, recipient_id: str, language: str, text_language: str) -> Markup:
    """All leaves as they stand in the page; the picture's address names whose right opens it."""
    return Markup(  # noqa: S704 (rendered by our own template, which escapes)
        render_template(
            "ceremony/_leaves.html", leaves=leaves(document_id), recipient_id=recipient_id, lang=text_language
        )
    )


@lru_cache(maxsize=256)
def summary(revision_id: str, language: str) -> tuple[tuple[str, str, str], ...]:
    """The terms of a frozen revision as (key, label, sentence) in a language; empty where there are none."""
    terms = Revision.get_by_id(revision_id).terms
    if not terms or not terms.get("severities"):
        return ()
    return tuple((each.key, each.label, each.sentence) for each in sentences.sections(terms, language))


def in_short(place: Place) -> dict[str, Any]:
    """What this side gets, what it pays, how it ends; `terms` holds every promise as a sentence."""
    revision_id = place.envelope.__data__["revision"]
    without = revisions.NO_TERMS in place.contract.flags or revision_id is None
    terms: Any = () if without else summary(revision_id, i18n.current())
    by_key = {key: text for key, _label, text in terms}
    first = next((text for key, _label, text in terms if key.startswith("severities.")), "")
    receives = (place.recipient.side == "theirs") == (place.contract.side == "supplier")
    names = (
        (_("You get"), _("You pay"), _("To end it")) if receives
        else (_("You promise"), _("You are paid"), _("To end it"))
    )  # fmt: skip
    texts = (first, by_key.get("commercial.fee", ""), by_key.get("commercial.renewal", ""))
    return {
        "short": [pair for pair in zip(names, texts, strict=True) if pair[1]],
        "terms": [(label, text) for _key, label, text in terms],
        "is_reading": revisions.READING in place.contract.flags,
    }


def read(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    language = i18n.current()
    return in_short(place) | {
        "leaves": leaf_html(place.document.id, place.recipient.id, language, text_language(place)),
        "pages": place.document.pages,
        "languages": " / ".join(i18n.NAMES.get(each, each) for each in place.contract.languages),
        "organisation": place.organisation,
        "authority": acts.authority(place, language),
        "form": form if form.values else draft_form(place),
        "checked": checked_words(place),
    }


def text_language(place: Place) -> str:
    """What the pages are written in, for those who listen; unknown where two columns face each other."""
    languages = place.contract.languages
    return str(languages[0]) if len(languages) == 1 else ""


def draft_form(place: Place) -> Form:
    """What was typed before in this browser, else what the sender knew."""
    draft, who = place.held.draft, place.recipient
    return Form(
        name=draft.get("name") or who.name,
        title=draft.get("title") or who.title,
        drawn=draft.get("drawn", ""),
        bind="yes" if draft.get("authority") else "",
        read="yes" if "reviewed" in draft else "",
    )


def checked_words(place: Place) -> list[str]:
    """What was checked besides the link, in a few words each."""
    met = place.held.factors_met
    found = []
    if "sms" in met:
        found.append(_("your number ending %(ending)s", ending=factors.ending(place.recipient)))
    if "handed" in met:
        found.append(_("the one-time code you were given"))
    if "totp" in met:
        found.append(_("your authenticator app"))
    return found


def review(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    draft = place.held.draft
    return {
        "draft": draft,
        "organisation": place.organisation,
        "intent": acts.intent(place, draft["language"]),
        "intent_language": draft["language"],
        "document": place.document,
        "checked": factors.sentences(factors.evidence(place), place.recipient.email, place.zone),
        "disclosure_version": place.consent.version if place.consent else "",
    }


# --- Afterwards -------------------------------------------------------------------------------------------


def done(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    """What was done and what comes next. The names of others only where the factors were met here."""
    proved = is_proved(place)
    people = (
        Recipient.select()
        .where((Recipient.envelope == place.envelope) & (Recipient.role != "copy"))
        .order_by(Recipient.routing_order, Recipient.id)
    )
    finished = place.envelope.status == "completed" and place.envelope.seal_status in ("sealed", "incomplete")
    app = outside_factors.app_of(place) if proved and place.act is not None else None
    return {
        "act": place.act,
        "people": list(people) if proved else [],
        "proved": proved,
        "finished": finished,
        "completed": place.envelope.status == "completed",
        "document": place.document,
        "offers_app": app is None and proved and place.act is not None
        and bool(outside_factors.may_enrol(place)),
        "app_set_up": app is not None and app.factor is not None
        and app.factor.enrolled_envelope_id == place.envelope.id,
    }  # fmt: skip


def is_proved(place: Place) -> bool:
    return not factors.unmet(place.recipient.factors, place.held.factors_met)


def closed(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    """A screen with nothing to do: what it is called, and why."""
    title, text = ended_words(place, at)
    return {"title": title, "text": text, "contact": place.contact}


def ended_words(place: Place, at: str) -> tuple[str, str]:
    company, name = place.contract.entity.name, place.sender.name
    words = {
        "voided": (
            _("This request was withdrawn"),
            _("%(company)s no longer asks you to sign. There is nothing for you to do.", company=company),
        ),
        "expired": (
            _("The time to sign has run out"),
            _("If you still want to sign, ask %(name)s to send it again.", name=name),
        ),
        "over": (
            _("This request is closed"),
            _("Nobody can sign it any more. %(name)s can tell you more.", name=name),
        ),
        "declined": (_("You have declined"), _("%(name)s was told, with your reason.", name=name)),
        "preparing": (
            _("This request is still being prepared"),
            _("Come back in a minute. Nothing is lost."),
        ),
        "waiting": (
            _("It is not your turn yet"),
            _("Others sign before you. You get a mail when it is your turn."),
        ),
        "not_for_me": (
            _("You said that this is not for you"),
            _("%(name)s was told. The links we sent you no longer work.", name=name),
        ),
        "hold": (
            _("Your new app does not count yet"),
            _("For your safety a new app counts one day after it was set up. Come back then with the "
              "same link."),
        ),
        "number": (
            _("No code can be sent to you yet"),
            _("For your safety codes go to a new number one day after %(name)s changed it. Come back then "
              "with the same link.", name=name),
        ),
        "ended": (
            _("This link has ended"),
            _("There may be a newer message from %(company)s. If not, ask for a new link.", company=company),
        ),
    }  # fmt: skip
    return words[at]


def elsewhere(place: Place, at: str, form: Form, now: datetime) -> dict[str, Any]:
    """What was checked here before the provider's page opens."""
    return {
        "provider": hand_over.label(place),
        "returns": hand_over.returns(place),
        "checked": factors.sentences(factors.evidence(place), place.recipient.email, place.zone),
    }


SCREENS = {
    "elsewhere": elsewhere,
    "consent": consent,
    "withdrawn": consent,
    "code": code,
    "totp": totp,
    "enrol": enrol,
    "handed": handed,
    "app": enrol,
    "read": read,
    "review": review,
    "done": done,
    "copy": done,
}
