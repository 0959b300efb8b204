"""Every form, sent as nobody should: nothing breaks, nothing changes on a refusal, nothing typed is lost."""

from __future__ import annotations

import json
import random
import re
import zlib
from io import BytesIO

import pytest
from werkzeug.datastructures import MultiDict

from portal.models import schema
from portal.pages.forms import clean
from portal.services import audit_chains
from tests.security import catalogue, markup
from tests.security.payloads import ALWAYS, HOSTILE, LONG
from tests.security.world import marked_as_sample
from tests.threads import at_once

# Tables that a refusal may still write to: tries are counted, and the trail says that one was made.
TRAIL = {"audit_event", "audit_detail", "chain_head"}
COUNTED = {"attempt", *TRAIL}
# A draft that is saved is also read anew for the search.
SAVED = {"contract", "revision", "contract_contact", "contract_word", "job", *TRAIL}
MAY_WRITE = {
    "account.change_password": COUNTED,
    "ceremony.check_app": COUNTED | {"recipient"},
    "ceremony.check_code": COUNTED | {"sms_code"},
    "ceremony.check_handed": COUNTED | {"enrolment_code"},
    "ceremony.enrol_app": COUNTED,
    "ceremony.enrol_for_next_time": COUNTED,
    "ceremony.confirm": TRAIL,
    "invitations.answer": COUNTED | {"job"},
    "invitations.enter": COUNTED,
    "mine.ask_for_link": COUNTED,
    "second_factor.confirm": COUNTED | {"session"},
    "sign_in.check_code": COUNTED | {"session", "person"},
    "sign_in.check_password": COUNTED,
    "sign_in.check_step_up": COUNTED | {"session", "person"},
    "sign_in.request_reset": COUNTED,
    "sign_in.send_access_link": COUNTED,
    "verify.check": COUNTED,
    # A file is kept as soon as it is harmless, so that no form asks for it twice.
    "bulk.create_document": {"document"},
    "new_contracts.create_from_file": {"document"},
    "new_contracts.use_their_file": {"document"},
    "annexes.add": {"document"},
    "entities.add_signatory": {"document"},
    # Each section of a step that is right is saved; the page says which are not.
    "draft_steps.save": SAVED,
    "draft_steps.save_and_leave": SAVED,
}
# Controls whose text is asked for again on purpose.
NEVER_SHOWN = {"password", "file", "hidden"}
MOST_FIELDS = 3
PART = 8  # in the short run each form meets this part of the hostile values
FORM_TYPE = "application/x-www-form-urlencoded"


def chosen(names, endpoint, is_long):
    """All fields in the long run; else a few, always the same ones."""
    names = list(names)
    if is_long or len(names) <= MOST_FIELDS:
        return names
    return random.Random(zlib.crc32(endpoint.encode())).sample(names, MOST_FIELDS)


def changed_form(sample, **changes):
    values = sample.values()
    for name, value in changes.items():
        if value is None:
            values.poplist(name)
        else:
            values.setlist(name, [value])
    return values


def all_fields(sample, value):
    """The value in every field; a very long one in as many as still fit the limit of a form."""
    values = sample.values()
    for name in sample.names()[: max(1, 150_000 // max(1, len(value)))]:
        if name != "csrf_token":
            values.setlist(name, [value])
    return values


def attempts(sample, is_long):
    """What is sent instead of the form: a name for the report and the values."""
    yield "nothing", MultiDict()
    names = [name for name in sample.names() if name != "csrf_token"]
    for name in chosen(names, sample.endpoint, is_long):
        yield f"without {name}", changed_form(sample, **{name: None})
    for name in chosen(sample.typed_names(), sample.endpoint, is_long):
        yield f"{name} of 100 kB", changed_form(sample, **{name: LONG})
    kinds = list(HOSTILE)
    turn = zlib.crc32(sample.endpoint.encode()) % PART
    for position, kind in enumerate(kinds):
        if is_long or kind in ALWAYS or position % PART == turn:
            yield f"{kind} everywhere", all_fields(sample, HOSTILE[kind])
    for position, name in enumerate(chosen(names, sample.endpoint, is_long)):
        start = zlib.crc32(f"{sample.endpoint}{name}".encode()) + position
        for step in range(len(kinds) if is_long else 2):
            kind = kinds[(start + step * 17) % len(kinds)]
            yield f"{kind} in {name}", changed_form(sample, **{name: HOSTILE[kind]})
    yield "all of 100 kB", all_fields(sample, LONG[: 150_000 // max(1, len(names))])
    doubled = sample.values()
    for name in names:
        doubled.setlist(name, ["first", *(v for v in doubled.getlist(name) if isinstance(v, str))])
    yield "each twice", doubled
    yield "names as lists", MultiDict((f"{name}[]", "x") for name in names)
    yield "files for text", MultiDict((name, (BytesIO(b"%PDF-1.7 not really"), "x.pdf")) for name in names)


def judge(portal, sample, what, answer, before, sent=()):
    """What is wrong with an answer to a bad form."""
    found = [f"{fault}" for fault in answer.faults]
    wrote = portal.world.written() != before
    if answer.status >= 400 and wrote:
        extra = set(portal.world.changed()) - MAY_WRITE.get(sample.endpoint, set())
        if extra:
            found.append(f"refused, and yet changed {sorted(extra)}")
    if 400 <= answer.status < 500:
        if not says_why(answer):
            found.append("gives no reason")
        found += forgotten(sample, answer, sent)
    if wrote:
        portal.world.back()
    return [f"{sample.endpoint}: {each} ({what}): {answer}" for each in found]


def says_why(answer):
    """A sentence beside a field, an alert, or a page that is about the refusal."""
    if answer.root is None:
        return bool(answer.text.strip())
    reasons = answer.root.xpath("//*[@role='alert']|//*[@class='reason']|//div[@class='empty']/p|//main//h1")
    return any("".join(each.itertext()).strip() for each in reasons)


def forgotten(sample, answer, sent):
    """What was typed into fields that the page shows again, and is gone."""
    if answer.status != 422 or answer.root is None:
        return
    shown = markup.shown_values(answer.root)
    kinds = {each.name: each.kind for each in sample.fields}
    for name in dict.fromkeys(sent):
        typed = sent.getlist(name)
        if len(typed) != 1 or not isinstance(typed[0], str) or kinds.get(name) not in catalogue.TYPED:
            continue
        if kinds[name] in NEVER_SHOWN or name not in shown or name.rsplit(".", 1)[-1] == "code":
            continue
        wanted = clean(typed[0]).replace("\r", "")
        if wanted.strip() and not any(same(wanted, value) for value in shown[name]):
            yield f"lost what was typed into {name}"


def same(typed, shown):
    return "".join(clean(typed).split()) == "".join(clean(shown).split())


def test_bad_forms_never_break_a_page(portal, world, samples, is_long):
    faults = []
    with marked_as_sample(world):
        for sample in samples.values():
            for what, values in attempts(sample, is_long):
                before = world.written()
                sent = MultiDict(values)
                answer = sample.send(portal, values)
                faults += judge(portal, sample, what, answer, before, sent)

    assert not faults, f"{len(faults)} of them\n" + "\n".join(faults[:4000])


BODIES = {
    "json": (b'{"name": ["x"], "email": {"$ne": 1}}', "application/json"),
    "deep json": (b"[" * 20_000, "application/json"),
    "no type": (b"name=x", ""),
    "text": (b"name=x&name=y", "text/plain"),
    "xml": (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "application/xml"),
    "multipart without end": (
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx', "multipart/form-data; boundary=b"
    ),
    "multipart without boundary": (b"--b\r\n\r\nx", "multipart/form-data"),
    "multipart with nothing in it": (b"--b--\r\n", "multipart/form-data; boundary=b"),
    "multipart of bad headers": (
        b"--b\r\nContent-Disposition: form-data; name=\xff\xfe\r\n\r\nx\r\n--b--\r\n",
        "multipart/form-data; boundary=b",
    ),
    "bytes that are no text": (b"name=\xff\xfe\x00%ff%00&%ff=%fe", "application/x-www-form-urlencoded"),
    "unknown charset": (b"name=x", "application/x-www-form-urlencoded; charset=klingon"),
    "too many parts": (b"&".join(b"a%d=1" % n for n in range(6000)), "application/x-www-form-urlencoded"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(BODIES))
def test_bodies_that_are_no_form_never_break_a_page(portal, world, samples, kind, is_long):
    """Each address meets four of these bodies in the short run, all of them in the long one."""
    body, content_type = BODIES[kind]
    faults, turn = [], list(BODIES).index(kind) % 3
    with marked_as_sample(world):
        for sample in list(samples.values()) if is_long else list(samples.values())[turn::3]:
            before = world.written()
            answer = portal.ask(sample.persona, sample.path, "POST", data=body, content_type=content_type)
            faults += judge(portal, sample, kind, answer, before)

    assert not faults, "\n".join(faults[:20])


# A provider's call is no form: its body is kept as it is, up to a limit of its own (10 MB).
NO_FORM = {"webhooks.receive"}


def test_a_form_beyond_the_limit_is_refused_at_every_address(portal, world, samples):
    """Before its fields are parsed, which would take long; a file may be larger."""
    body = b"a&" * 600_000
    portal.app.config["WTF_CSRF_ENABLED"] = True  # as installed: every address reads its form
    try:
        taken = []
        for sample in samples.values():
            if sample.endpoint in NO_FORM:
                continue
            before = world.written()
            answer = portal.ask(
                sample.persona,
                sample.path,
                "POST",
                data=body,
                content_type="application/x-www-form-urlencoded",
            )
            if answer.status != 413 or world.written() != before or not says_why(answer):
                taken.append(str(answer))
    finally:
        portal.app.config["WTF_CSRF_ENABLED"] = False

    assert not taken, "\n".join(taken[:20])


# --- Fields nobody asked for ------------------------------------------------------------------------

MARK = "massassignment7f3a"


def columns():
    """Every column of every table, by the name a form would use for it."""
    return sorted({
        name for model in schema.tables() for each in model._meta.sorted_fields
        for name in (each.name, each.column_name)
    })  # fmt: skip


def hostile_columns(offered, value):
    extra = {}
    for name in columns():
        for variant in (name, f"contract.{name}", f"person.{name}"):
            if variant not in offered:
                extra[variant] = value
    return extra


def extras(sample, turn, is_long):
    """Nothing, then every column as a word or as a one (which a flag would take for yes)."""
    values = (MARK, "1") if is_long else ((MARK, "1")[turn % 2],)
    return [{}, *(hostile_columns(sample.offered, value) for value in values)]


def difference(before, after):
    """What a request did: for each table, how many rows came and went, and which columns moved."""
    done = {}
    for table, rows in after.items():
        old = before[table]
        moved = sorted({
            column for key, row in rows.items() if key in old
            for column, value in row.items() if value != old[key][column]
        })  # fmt: skip
        made = [plain(row) for key, row in rows.items() if key not in old]
        gone = [key for key in old if key not in rows]
        if moved or made or gone:
            done[table] = (moved, sorted(made), len(gone))
    return done


STEADY = ("role", "stage", "state", "status", "kind", "side", "is_", "has_", "purpose", "permission",
          "version", "counterparty_id", "disabled", "totp", "channel", "factor", "succeeded",
          "folded", "routing")  # fmt: skip


TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")  # two tries may lie on two sides of a second


def plain(row):
    """What of a new row must not depend on fields that the form does not offer."""
    kept = {name: TIME.sub("", str(value)) for name, value in row.items() if name.startswith(STEADY)}
    return json.dumps(kept, sort_keys=True)


def test_fields_that_a_form_does_not_offer_change_nothing(portal, world, samples, is_long):
    """Each form, once as it is and once with every column's name added: the same rows change the same way."""
    faults, worked = [], 0
    start = world.rows()
    for sample in samples.values():
        if sample.worked >= 400 or not sample.is_found:
            continue
        done = []
        for more in extras(sample, worked, is_long):
            values = sample.values()
            values.update(more)
            answer = sample.send(portal, values)
            rows = world.rows()
            done.append((answer.status, difference(start, rows)))
            if MARK in (text := json.dumps(rows, default=str)):
                faults.append(f"{sample.endpoint}: the mark was kept at {text.index(MARK)}")
            world.back()
        worked += 1
        if any(each != done[0] for each in done):
            faults.append(f"{sample.endpoint}: {done}"[:1500])

    assert not faults, "\n".join(faults)
    assert worked > 50


# --- Twice at once ------------------------------------------------------------------------------------


def test_the_same_form_twice_at_once_breaks_nothing(portal, world, samples):
    """Two presses in the same instant: no error page, and a trail that still verifies."""
    faults = []
    for sample in samples.values():
        if not sample.is_found:
            continue
        answers = at_once(lambda sample=sample: sample.send(portal, sample.values()), 2, threads=2)
        for answer in answers:
            faults += [f"{sample.endpoint}: {fault}" for fault in getattr(answer, "faults", [repr(answer)])]
        report = audit_chains.verify()
        if not report["valid"]:
            faults.append(f"{sample.endpoint}: the trail does not verify: {report}")
        world.back()

    assert not faults, "\n".join(faults)
