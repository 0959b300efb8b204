"""Text that would like to be markup: stored in every field, shown on every page, still only text."""

from __future__ import annotations

import copy
import json
from urllib.parse import quote

import peewee
import pypdfium2

from portal.documents import render
from portal.models import schema
from portal.models.base import JsonField, db
from portal.models.contracts import Contract, Revision
from portal.models.library import LibraryClause, LibraryVersion
from portal.models.negotiation import Proposal
from portal.models.notices import Notice
from portal.models.templates import Template, TemplateVersion
from portal.services import envelopes, jobs, layouts, notices, reminders, revisions, tasks
from tests.security import markup, routes
from tests.security.catalogue import READERS, may_try, pairs
from tests.security.payloads import SCRIPTS
from tests.security.world import by, marked_as_sample

ALL = " ".join(SCRIPTS)
# Columns of words: whatever people, programs or providers wrote.
WORDS = {
    "check_problem", "company", "hold_reason", "zip_name", "last_problem", "raw_status",
    "master_agreement", "note",
    "author_name", "decided_by", "decision_reason", "settled_by", "share_note",
    "address", "authority", "change_note", "courts", "ended_reason", "failure", "file_name", "form",
    "governing_law", "intent", "last_error", "message", "name", "organisation", "reason", "registration",
    "seal_problem", "sender_address", "sender_name", "why",
    "source", "subject", "text", "title", "user_agent", "waiting_for",
}  # fmt: skip
# Columns that hold keys, codes, numbers in text, and words of ours from a fixed list.
CODES = {
    "words", "token_sha256", "region",
    "former_secret", "signing_secret", "url",
    "applies_when", "asked_by_id", "decision", "made_from_id",
    "carried_from", "matter", "mode", "moment",
    "answers_id", "author_email", "link_sha256", "place",
    "baa_document", "created_by", "cursor", "method", "notification", "query", "request_id", "secrets",
    "confirmed_by", "given_by", "held_by", "origin", "parent_id", "renewal",
    "renews_id", "transcribed_by", "zip_key", "zip_sha256",
    "server", "started_by", "subscription", "tokens",
    "acr", "act", "applies_to", "client_id", "client_secret", "first_role", "hosted_domain", "issuer",
    "role_claim", "scopes", "unknown", "authority_document_id", "body", "chain", "channel",
    "code_hmac", "code_sha256", "contract_id",
    "copied_from_id", "counterparty_id", "country", "currency", "demonstration", "document_id",
    "document_sha256", "email", "enrolled_envelope_id", "envelope_id", "factor", "gateway", "hash", "html",
    "id", "key", "kind", "language", "lease_owner", "limit_currency", "logo_type", "password_hash",
    "period", "person_id", "phone", "prevailing_language", "previous_hash", "problem", "proof", "provider",
    "purpose", "recipient_id", "reference", "reference_prefix", "remote_id", "role", "salt", "scope",
    "seal_status", "search_text", "secret", "sender_id", "series", "session_sha256", "sha256", "side",
    "signatory_id", "signature_kind", "signature_path", "stage", "state", "status", "storage_key",
    "text_sha256", "totp_secret", "version", "way", "word", "zone",
}  # fmt: skip
# JSON columns whose words are reached by `fill_documents`, and those that hold none.
TREES = {
    "after",
    "before",
    "people",
    "clauses",
    "terms",
    "recipients",
    "factor_reasons",
    "facts",
    "values",
    "levels",
    "draft",
    "name",
    "heading",
    "text",
    "positions",
}
BARE = {
    "kinds", "asked",
    "authors", "precedence", "roles",
    "tracked",
    "attachments", "condition", "domains", "factors", "factors_met", "flags", "languages", "payload",
    "pending", "spare", "tombstone", "wait_reasons",
    "role_map", "value",
    # Of provider accounts: settings, the last check and test run, what was asked, what was checked.
    "account", "gate", "headers", "native_factors", "rehearsal", "settings", "withdrawal",
    # Of a file of rows: what stands in it is shown from `bulk_row.company` and the contract made of it.
    "calls", "defaults", "errors", "ignored", "read", "typed",
}  # fmt: skip
# Encrypted, and read elsewhere in this file.
SEALED = {("notice", "text")}


def text_columns():
    for model in schema.tables():
        for column in model._meta.sorted_fields:
            if isinstance(column, peewee.TextField):
                yield model, column


def test_every_column_of_text_is_tried_or_known_to_hold_no_words():
    unknown = [
        f"{model._meta.table_name}.{column.name}"
        for model, column in text_columns()
        if column.name not in (TREES | BARE if isinstance(column, JsonField) else WORDS | CODES)
    ]

    assert not unknown, f"say in this file whether people's words can be in {unknown}"


def fill(world, payload=ALL):
    """Write the payload into every column of words, past all forms."""
    for model, column in text_columns():
        table = model._meta.table_name
        is_words = column.name in WORDS and not isinstance(column, JsonField)
        if is_words and (table, column.name) not in SEALED:
            written = " ".join(payload.split()) if column.name == "file_name" else payload
            db.execute(model.update({column: written}).where(column != ""))
    fill_documents(payload)


def fill_documents(payload):
    """Words inside documents: clauses, terms, people to be asked, personal details of the trail."""
    from portal.models.audit import AuditDetail
    from portal.models.contracts import Document
    from portal.models.envelopes import Recipient, Right

    for row in Revision.select():
        clauses = [spoil_clause(each, number) for number, each in enumerate(row.clauses)]
        terms = spoil_terms(row.terms, payload)
        Revision.update(clauses=clauses, terms=terms).where(Revision.id == row.id).execute()
    for row in Contract.select():
        people = [
            {**each, "name": payload, "title": payload, "organisation": payload} for each in row.recipients
        ]
        Contract.update(recipients=people).where(Contract.id == row.id).execute()
    for row in Proposal.select().where(Proposal.kind == "clause"):
        words = {
            name: dict.fromkeys(value, payload.replace("{{", "{ {").replace("[[", "[ ["))
            for name, value in (("before", row.before), ("after", row.after))
            if value is not None
        }
        Proposal.update(words).where(Proposal.id == row.id).execute()
    for row in Template.select():
        Template.update(name=dict.fromkeys(row.name, payload)).where(Template.id == row.id).execute()
    for row in TemplateVersion.select():
        clauses = [spoil_clause(each, number) for number, each in enumerate(row.clauses)]
        TemplateVersion.update(clauses=clauses).where(TemplateVersion.id == row.id).execute()
    for row in Document.select().where(Document.kind == "upload"):
        facts = {**row.facts, "had_signatures": [payload]}
        Document.update(facts=facts).where(Document.id == row.id).execute()
    for row in LibraryVersion.select():
        positions = [{**each, "text": dict.fromkeys(each["text"], payload)} for each in row.positions]
        words = {"text": dict.fromkeys(row.text, payload), "heading": dict.fromkeys(row.heading, payload)}
        LibraryVersion.update(positions=positions, **words).where(LibraryVersion.id == row.id).execute()
    for row in LibraryClause.select():
        LibraryClause.update(name=dict.fromkeys(row.name, payload)).where(
            LibraryClause.id == row.id
        ).execute()
    for row in Document.select().where(Document.kind == "annex"):
        facts = {**row.facts, "annex": {**row.facts["annex"], "name": payload}}
        Document.update(facts=facts).where(Document.id == row.id).execute()
    for row in Right.select():
        draft = {
            name: payload if name in ("name", "title", "authority") else v for name, v in row.draft.items()
        }
        Right.update(draft=draft).where(
            (Right.session_sha256 == row.session_sha256) & (Right.recipient == row.recipient)
        ).execute()
    Recipient.update(factor_reasons=[payload]).execute()
    for row in AuditDetail.select():
        told = {name: payload if isinstance(value, str) else value for name, value in row.values.items()}
        AuditDetail.update(values=told).where(
            (AuditDetail.chain == row.chain) & (AuditDetail.number == row.number)
        ).execute()


def spoil_clause(clause, number):
    """Two payloads a clause, each a paragraph of its own, where Markdown reads it."""
    two = [SCRIPTS[(2 * number + step) % len(SCRIPTS)] for step in (0, 1)]
    safe = [each.replace("{{", "{ {").replace("[[", "[ [") for each in two]
    body = "\n\n".join([*safe, f"> {safe[0]}", f"- {safe[1]}", f"**{safe[0]}** `{safe[1]}`"])
    return clause | {
        "heading": dict.fromkeys(clause["heading"], safe[0]),
        "text": dict.fromkeys(clause["text"], body),
    }


def spoil_terms(value, payload, key=""):
    """Every text in languages, and the product; keys, codes and numbers stay."""
    if isinstance(value, dict) and value and set(value) <= {"en", "fr"}:
        return {language: payload if isinstance(text, str) else text for language, text in value.items()}
    if isinstance(value, dict):
        return {name: spoil_terms(inner, payload, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [spoil_terms(inner, payload, key) for inner in value]
    return payload if key == "product" and isinstance(value, str) else value


def shown_pages(portal, breadth):
    for rule in routes.rules(portal.app, "GET"):
        for given in routes.arguments(portal.world, portal.app, rule, breadth=breadth):
            for persona in READERS:
                if persona not in ("ben", "legal") and may_try(portal, rule.endpoint, persona, given):
                    yield rule, portal.ask(persona, routes.address(portal.app, rule, given))


def test_no_page_takes_stored_text_for_markup(portal, world, is_long):
    fill(world)
    faults, showing = [], set()
    with marked_as_sample(world):
        for rule, answer in shown_pages(portal, 40 if is_long else 8):
            faults += [f"{answer}: {fault}" for fault in answer.faults]
            if answer.root is not None and "<x-cnry cnry=1>" in answer.words:
                showing.add(rule.endpoint)

    assert not faults, f"{len(faults)}\n" + "\n".join(faults[:25])
    assert len(showing) >= 40, sorted(showing)


def test_no_page_takes_what_was_asked_for_markup(portal, world):
    """The query of every page, and an address that is not there."""
    names = (
        "q",
        "next",
        "open",
        "after",
        "before",
        "sort",
        "state",
        "side",
        "owner",
        "party",
        "by",
        "reminded",
    )
    faults = []
    for rule in routes.rules(portal.app, "GET"):
        for given in routes.arguments(world, portal.app, rule, breadth=1)[:1]:
            path = routes.address(portal.app, rule, given)
            for payload in (ALL[:1500], ALL[1500:3000], '"><x-cnry cnry=1>', "' onfocus=cnry() x='"):
                query = "&".join(f"{name}={quote(payload, safe='')}" for name in names)
                for persona in ("ana", "stranger") if "{" not in path and not given else ("ana",):
                    answer = portal.ask(persona, f"{path}?{query}")
                    faults += [f"{answer}: {fault}" for fault in answer.faults]
    for payload in SCRIPTS:
        answer = portal.ask("stranger", "/" + quote(payload, safe=""))
        faults += [f"{answer}: {fault}" for fault in answer.faults]
        assert answer.status == 404

    assert not faults, "\n".join(faults[:20])


def test_no_form_takes_what_was_typed_for_markup(portal, world, samples):
    """Every field of every form filled with payloads, a few at a time: the page that answers or follows."""
    faults, turns = [], [" ".join(SCRIPTS[start::8]) for start in range(8)]
    with marked_as_sample(world):
        for number, sample in enumerate(samples.values()):
            for turn in (number % 8, (number + 3) % 8):
                values = sample.values()
                typed = set(sample.typed_names())
                for name, value in pairs(values):
                    if name in typed and isinstance(value, str):
                        values.setlist(name, [turns[turn]])
                answer = sample.send(portal, values)
                faults += [f"{answer}: {fault}" for fault in answer.faults]
                if answer.status == 303 and answer.location.startswith("/"):
                    followed = portal.ask(sample.persona, answer.location)
                    faults += [f"{followed}: {fault}" for fault in followed.faults]
                world.back()

    assert not faults, "\n".join(faults[:20])


def test_no_mail_takes_stored_text_for_markup(portal, world):
    """Every message that can be provoked here: asking, reminding, declining, calling back, questions."""
    fill(world, " ".join(SCRIPTS[:30]))
    before = {row.id for row in Notice.select(Notice.id)}
    contract = Contract.get_by_id(world.contracts["signing"].id)
    envelope = envelopes.latest(contract)
    asked = [r for r in envelopes.recipients_of(envelope) if r.status in ("sent", "opened")]
    tasks.add("question", contract, asked[0], now=world.now, text=ALL)
    reminders.remind_now(asked[0], by=by(world), now=world.now)
    envelopes.void(envelope, reason=ALL, by=by(world), now=world.now)
    portal.ask("stranger", "/mine", "POST", data={"email": "claire@castellan.example"})
    portal.ask("stranger", "/password-reset", "POST", data={"email": "ana@larkfield.example"})
    jobs.run_due("test", lambda: world.now)
    faults, made = [], 0
    for notice in Notice.select():
        if notice.id in before or notice.channel != "mail":
            continue
        _text, html = notices.read(notice)
        made += 1
        assert "\r" not in notice.subject, notice.kind
        assert "\n" not in notice.subject, notice.kind
        faults += [f"{notice.kind}: {fault}" for fault in markup.faults(markup.parse(html), is_mail=True)]

    assert made >= 4
    assert not faults, "\n".join(faults[:20])


def test_a_pdf_prints_payloads_word_for_word(portal, world):
    """Typst reads them as text: title, people, clauses and product stand there as they were typed."""
    printable = [each for each in SCRIPTS if each.isascii() and each.isprintable()][:40]
    row = Contract.get_by_id(world.contracts["draft"].id)
    revision = revisions.current(row)
    typst = '#read("/etc/passwd") $x^2$ @label #let x = 1; `raw` \\ *bold* _it_ = = <label> //comment /*c*/'
    row.title = f"{printable[0]} {typst}"
    revision.clauses = [
        {"key": f"clause-{number}", "level": 1, "heading": {"en": "Words"}, "text": {"en": as_code(text)}}
        for number, text in enumerate([*printable, typst])
    ]
    terms = copy.deepcopy(revision.terms)
    terms["product"] = printable[1]
    revision.terms = terms
    row.recipients = [{**each, "name": printable[2], "title": printable[3]} for each in row.recipients]
    row.languages = ["en"]

    made = render.contract_pdf(layouts.contract_layout(row, revision, draft=True, at=world.now))

    with pypdfium2.PdfDocument(made.pdf) as pdf:
        words = squeezed("".join(page.get_textpage().get_text_range() for page in pdf))
    missing = [text for text in [*printable, typst] if squeezed(text) not in words]
    assert not missing, missing


def as_code(text):
    """The payload as a clause holds it, with the signs that Markdown itself reads taken by their word."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|&~" else c for c in text)


def squeezed(text):
    """Without spaces and breaks, which typesetting moves."""
    return "".join(c for c in text if not c.isspace() and c not in "\ufffe\u00ad\u2010")


def test_json_in_pages_cannot_be_left(portal, world):
    """The one attribute that carries JSON (htmx's settings) is ours, and the same on every page."""
    fill(world)
    seen = set()
    for path in ("/", "/contracts", "/sign-in", f"/contracts/{world.contracts['draft'].reference}"):
        answer = portal.ask("ana", path)
        seen |= set(
            answer.root.xpath("//meta[@name='htmx-config']/@content") if answer.root is not None else ()
        )
    settings = [json.loads(each) for each in seen]

    assert len(settings) == 1
    assert settings[0]["allowEval"] is False
    assert settings[0]["allowScriptTags"] is False
    assert settings[0]["selfRequestsOnly"] is True
    assert settings[0]["includeIndicatorStyles"] is False
    assert settings[0]["historyCacheSize"] == 0
