"""What stays inside: no page, mail or feed gives another party our notes, our limits or somebody else's name.

Marked words are written wherever our side keeps them: notes, reasons, rules, fallback wording, names of
lists and programs. Then everything that each outside person of two parties can reach, in each role, is
asked for, and every mail to them is read.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from portal.models.approvals import Approval, ApprovalRule
from portal.models.base import transaction
from portal.models.contracts import Contract, Revision
from portal.models.envelopes import Recipient
from portal.models.event_receivers import EventMessage, EventReceiver
from portal.models.library import LibraryClause, LibraryVersion
from portal.models.negotiation import Comment
from portal.models.notices import Notice
from portal.models.templates import TemplateVersion
from portal.services import audit, calendar_feeds, envelopes, jobs, notices, reminders
from tests.security import routes
from tests.security import world as worlds
from tests.security.world import by
from tests.services import signing

INSIDE = "Zqinside"
# Words that only people of this party, and we, may read.
WORDS = {
    "castellan.example": ("Castellan", "Zephyrine", "Aubert"),
    "corvid.example": ("Corvid", "Magpie", "Cora Vane"),
}
OURS = {"claire", "marc", "nina", "theo", "tess", "vera", "tom", "hana", "gina", "carl", "noah", "hugo",
        "paula", "proved", "done"}  # fmt: skip
THEIRS = {"cora", "connie", "colin", "cleo"}


def party_of(persona: str) -> str:
    return "castellan.example" if persona in OURS else "corvid.example"


def more_of_corvid(world: Any) -> None:
    """An approver and somebody who gets a copy, of the second party as well."""

    def one(key: str, **changes: Any) -> dict[str, Any]:
        told = {"name": f"{key.title()} Vane", "email": f"{key}@corvid.example"}
        return signing.theirs(key, organisation="Corvid CRM, Inc.", language="en", **told) | changes

    asked = [
        one("connie", role="approver"), one("colin", role="copy"), one("cora"),
        {**signing.ours(world.cast), "key": "ours-1", "routing_order": 2},
    ]  # fmt: skip
    worlds.send(
        world, "corvid-2", world.now, asked, party="Corvid CRM, Inc.", product="Magpie two",
        their_name="Cora Vane", their_email="cora@corvid.example",
    )  # fmt: skip
    worlds.come_to(world, "corvid-2.connie", "read", world.now)
    worlds.come_to(world, "corvid-2.colin", "copy", world.now)


def plant(world: Any) -> None:
    """The marked word, everywhere that our side keeps for itself."""
    rule = ApprovalRule.create(
        name=f"{INSIDE} rule", condition={}, roles=["legal"], is_active=False, updated_at=world.now
    )
    for contract in Contract.select():
        revision = Revision.select().where(Revision.contract == contract).first()
        Approval.create(
            contract=contract, revision=revision, sha256="0" * 64, rule=rule, key=INSIDE, matter="",
            roles=["legal"], moment="sign", step=1, why=f"{INSIDE} why", reason=f"{INSIDE} reason",
            state="returned", created_at=world.now,
        )  # fmt: skip
        with transaction():
            audit.append(
                "contract.returned", ("contract", contract.id), chain=contract.id, by=by(world),
                now=world.now, personal={"reason": f"{INSIDE} reason"},
            )  # fmt: skip
    Contract.update(waiting_for=f"{INSIDE} colleague").execute()
    clause = LibraryClause.create(key="planted", name={"en": f"{INSIDE} clause"}, created_at=world.now)
    ladder = [{"level": level, "role": "legal", "text": {"en": f"{INSIDE} {level}"}}
              for level in ("acceptable", "approval", "not_allowed")]  # fmt: skip
    LibraryVersion.create(
        clause=clause, number=1, heading={"en": INSIDE}, text={"en": INSIDE}, positions=ladder,
        change_note=f"{INSIDE} note", sha256="0" * 64, created_at=world.now,
    )  # fmt: skip
    TemplateVersion.update(change_note=f"{INSIDE} note").execute()
    EventReceiver.update(name=f"{INSIDE} program").execute()
    plant_comments(world)


def plant_comments(world: Any) -> None:
    """Notes that our side writes beside a clause for itself, in every contract."""
    for contract in Contract.select():
        revision = Revision.select().where(Revision.contract == contract).first()
        Comment.create(
            contract=contract, revision=revision, side="ours", is_internal=True, person=world.cast.ana,
            author_name=f"{INSIDE} author", text=f"{INSIDE} comment", created_at=world.now,
        )  # fmt: skip


def provoke_mails(world: Any) -> list[Notice]:
    """Reminders and withdrawals of requests of both parties, after the words were planted."""
    before = {row.id for row in Notice.select(Notice.id)}
    for name in ("signing", "corvid", "corvid-2"):
        envelope = envelopes.latest(Contract.get_by_id(world.contracts[name].id))
        asked = [r for r in envelopes.recipients_of(envelope) if r.status in envelopes.ASKED]
        for recipient in asked[:3]:
            reminders.remind_now(Recipient.get_by_id(recipient.id), by=by(world), now=world.now)
        envelopes.void(envelope, reason="a new date", by=by(world), now=world.now)
    jobs.run_due("test", lambda: world.now)
    return [row for row in Notice.select() if row.id not in before]


def forbidden(party: str, known: str = "") -> list[str]:
    others = [word for other, words in WORDS.items() if other != party for word in words]
    return [INSIDE, *(word for word in others if word not in known)]


def told(answer: Any) -> str:
    """Everything an answer says: head, body, and what lies in a ZIP, as Word files are."""
    said = answer.text + str(answer.headers)
    if answer.body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(answer.body)) as file:
            said += " ".join(file.read(name).decode("utf-8", "replace") for name in file.namelist())
    return said


@pytest.fixture
def planted(portal, world):
    more_of_corvid(world)
    plant(world)
    return world


def test_no_page_tells_another_party_what_stays_inside(portal, planted, is_long):
    faults, asked = [], 0
    for rule in routes.rules(portal.app, "GET"):
        for given in routes.arguments(planted, portal.app, rule, breadth=20 if is_long else 4):
            path = routes.address(portal.app, rule, given)
            for persona in sorted((OURS | THEIRS) & set(planted.personas)):
                answer = portal.ask(persona, path)
                asked += 1
                # Whoever holds a mailed link is its reader, so of others' names only those are told.
                words = [INSIDE] if "token" in given else forbidden(party_of(persona), path)
                said = told(answer)
                faults += [f"{persona}: {answer}: says {word}" for word in words if word in said]

    assert not faults, "\n".join(faults[:20])
    assert asked > 1_000


def test_the_words_are_where_our_own_people_read_them(portal, planted):
    """Else the test above would prove nothing."""
    contract = planted.contracts["signing"].reference

    assert INSIDE in portal.ask("auditor", "/contracts").text
    assert "Zephyrine" in portal.ask("claire", f"/ceremony/{planted.recipients['signing.claire'].id}").text
    assert INSIDE in portal.ask("ana", f"/contracts/{contract}").text
    talks = planted.contracts["talks"].reference
    assert INSIDE in portal.ask("ana", f"/contracts/{talks}/negotiation").text
    assert portal.ask("proved", f"/negotiations/{talks}").status == 200
    assert "Magpie" in portal.ask("cora", f"/ceremony/{planted.recipients['corvid.cora'].id}").text


def test_no_mail_tells_another_party_what_stays_inside(portal, planted):
    provoke_mails(planted)
    faults, read = [], dict.fromkeys(WORDS, 0)
    for notice in Notice.select():
        party = notice.address.rpartition("@")[2]
        if party not in WORDS:
            continue
        text, html = notices.read(notice)
        said = " ".join((notice.subject, text, html))
        read[party] += 1
        faults += [f"{notice.kind} to {notice.address}: says {w}" for w in forbidden(party) if w in said]

    assert not faults, "\n".join(faults[:20])
    assert min(read.values()) >= 5, read


def test_no_feed_and_no_message_to_a_program_names_people_or_notes(portal, planted):
    contract = planted.contracts["corvid"]
    with transaction():
        audit.append(
            "contract.sent", ("contract", contract.id), chain=contract.id, by=by(planted), now=planted.now,
            personal={"reason": INSIDE},
        )  # fmt: skip
    token = calendar_feeds.make(planted.cast.ana, shows_all=True, by=by(planted), now=planted.now)
    said = calendar_feeds.read(token, planted.now).decode().replace("\r\n ", "")
    said += json.dumps([row.text for row in EventMessage.select()])

    assert planted.contracts["corvid"].reference in said
    for word in (INSIDE, "Aubert", "Vane", "castellan.example", "corvid.example", "Quillgate"):
        assert word not in said, word
