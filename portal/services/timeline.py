"""What happened to a contract, in the reader's words: the trail without its machinery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.contracts import Contract
from portal.services import approval_rules, audit
from portal.sla import words

Event = dict[str, Any]


@dataclass(frozen=True)
class Happening:
    """One line: when, what, and a remark."""

    at: datetime
    text: str
    note: str = ""


def of(contract: Contract, limit: int = 200) -> list[Happening]:
    """The contract's story, newest first; neighbouring edits of one person are one line."""
    found: list[Happening] = []
    for event in audit.history(contract.id, limit=limit):
        write = WORDS.get(event["act"])
        text = write(event) if write else ""
        if not text or (found and event["act"] == "contract.edited" and found[-1].text == text):
            continue
        found.append(Happening(datetime.fromisoformat(event["at"]), text, note_of(event)))
    return found


def who(event: Event) -> str:
    """Who acted, as far as the trail still knows the name."""
    if event["by"]["kind"] == "system":
        return _("Countersign")
    return str(event["details"].get("by_name") or event["details"].get("name") or _("Somebody"))


def whom(event: Event) -> str:
    """The person an event is about."""
    return str(event["details"].get("name") or _("Somebody"))


def note_of(event: Event) -> str:
    reason = str(event["details"].get("reason", "")) if event["act"] != "contract.rejected" else ""
    if reason:
        return _("Reason: %(reason)s", reason=reason)
    if event["details"].get("note"):
        return str(event["details"]["note"])
    if event["act"] == "contract.approved" and event["facts"].get("policy"):
        return _("No rule asks for review or approval.")
    if event["act"] == "approval.asked" and event["facts"].get("lapsed"):
        names = words.listed(approval_rules.role_name(role) for role in event["facts"]["lapsed"])
        return _("What was approved before has changed: %(roles)s", roles=names)
    return ""


def drafted(event: Event) -> str:
    facts = event["facts"]
    if "copied_from" in facts:
        return _(
            "%(who)s drafted it as a copy of %(reference)s", who=who(event), reference=facts["copied_from"]
        )
    if facts.get("kind") == "file":
        return _("%(who)s started it from a PDF", who=who(event))
    return _("%(who)s drafted it", who=who(event))


def edited(event: Event) -> str:
    said = _("%(who)s changed the draft", who=who(event))
    came, went = (len(event["facts"].get(name, ())) for name in ("clauses_in", "clauses_out"))
    told = [
        ngettext("%(num)s clause came in", "%(num)s clauses came in", came) if came else "",
        ngettext("%(num)s clause went out", "%(num)s clauses went out", went) if went else "",
    ]
    return ", ".join([said, *filter(None, told)])


def roles(event: Event) -> str:
    """The roles an event is about, as words."""
    names = event["facts"].get("roles") or [r for n in event["facts"].get("needs", []) for r in n["roles"]]
    return words.listed(dict.fromkeys(approval_rules.role_name(role) for role in names))


def approval_given(event: Event) -> str:
    if event["facts"].get("own_text"):
        return _("%(who)s approved their own text, since nobody else could: %(roles)s", who=who(event),
                 roles=roles(event))  # fmt: skip
    return _("%(who)s approved it: %(roles)s", who=who(event), roles=roles(event))


def unless_policy(write: Callable[[Event], str]) -> Callable[[Event], str]:
    """Nothing of a step that a policy took by itself, since nobody did."""
    return lambda event: "" if event["facts"].get("policy") else write(event)


WORDS: dict[str, Callable[[Event], str]] = {
    "contract.submitted": unless_policy(lambda e: _("%(who)s gave it in for review", who=who(e))),
    "contract.returned": lambda e: _("%(who)s sent it back from the review", who=who(e)),
    "contract.shared": unless_policy(lambda e: _("%(who)s showed it to the other party", who=who(e))),
    "contract.agreed": unless_policy(lambda e: _("Both sides agree on the text")),
    "contract.declined": lambda e: _("The other party ended it"),
    "contract.activated": lambda e: _("It is live"),
    "contract.suspended": lambda e: _("%(who)s suspended the service", who=who(e)),
    "contract.resumed": lambda e: _("%(who)s ended the suspension", who=who(e)),
    "contract.brought_up": lambda e: _("The last day to give notice is near"),
    "contract.expired": lambda e: _("Its time is over"),
    "contract.terminated": lambda e: _("%(who)s ended it", who=who(e)),
    "contract.closed": lambda e: _("%(who)s closed it: what was owed at the end is done", who=who(e)),
    "recipient.not_answered": lambda e: _(
        "The last reminder to %(name)s stayed without an answer", name=whom(e)
    ),
    "envelope.sending_failed": lambda e: _("The provider did not take it"),
    "envelope.sent_again": lambda e: _("%(who)s tried to send it again", who=who(e)),
    "envelope.moved": lambda e: _("It was sent again through another account"),
    "envelope.fetched": lambda e: _("The signed file came in from the provider"),
    "document.found_changed": lambda e: _("The kept file was found changed; nobody can sign it"),
    "consent.given": lambda e: _("%(name)s agreed to electronic records", name=whom(e)),
    "contract.drafted": drafted,
    "contract.registered": lambda e: _("%(who)s registered it with its signed PDF", who=who(e)),
    "terms.confirmed": lambda e: _("%(who)s confirmed the typed terms", who=who(e)),
    "contract.edited": edited,
    "contract.handed_over": lambda e: _(
        "%(who)s handed it over to %(name)s", who=who(e), name=e["details"].get("to_name", "")
    ),
    "contract.approved": lambda e: _("Ready to sign"),
    "contract.rejected": lambda e: (
        _("%(who)s took it back to change it", who=who(e)) if e["facts"].get("taken_back") else ""
    ),
    "approval.asked": lambda e: _("%(who)s asked for approval: %(roles)s", who=who(e), roles=roles(e)),
    "approval.given": approval_given,
    "approval.returned": lambda e: _("%(who)s sent it back: %(roles)s", who=who(e), roles=roles(e)),
    "approval.carried_over": lambda e: _("An earlier approval still holds: %(roles)s", roles=roles(e)),
    "approval.escalated": lambda e: _(
        "Not answered for 48 hours; the executives were told: %(roles)s", roles=roles(e)
    ),
    "contract.reopened": lambda e: _("%(who)s opened the text again", who=who(e)),
    "contract.withdrawn": lambda e: _("%(who)s withdrew it", who=who(e)),
    "contract.recalled": lambda e: _("It is no longer out for signature"),
    "contract.voided": lambda e: _("%(who)s declared it void", who=who(e)),
    "contract.accepted": lambda e: (
        _("It begins")
        if e["facts"].get("policy") and e["by"]["kind"] == "system"
        else _("%(who)s began with it", who=who(e))
    ),
    "contract.amended": lambda e: _(
        "Amendment %(reference)s was signed", reference=e["facts"].get("amendment", "")
    ),
    "contract.renewed": lambda e: _("Renewed by %(reference)s", reference=e["facts"].get("renewal", "")),
    "renewal.drafted": lambda e: _(
        "%(who)s began to renew it with %(reference)s", who=who(e), reference=e["facts"].get("reference", "")
    ),
    "amendment.drafted": lambda e: _(
        "%(who)s began amendment %(reference)s", who=who(e), reference=e["facts"].get("reference", "")
    ),
    "term.renewed": lambda e: _("It renewed by itself"),
    "notice.missed": lambda e: _("The last day to give notice passed and nobody acted"),
    "renewal.reminded": lambda e: _("The owner was reminded of the last day to act"),
    "letter.drafted": lambda e: _("%(who)s drafted a letter of notice", who=who(e)),
    "letter.withdrawn": lambda e: _("%(who)s dropped the letter of notice", who=who(e)),
    "letter.signed": lambda e: _("%(who)s signed the letter of notice", who=who(e)),
    "notice.given": lambda e: _("The letter of notice was sealed and sent"),
    "contract.archived": lambda e: _("Archived"),
    "contract.text_shared": lambda e: _(
        "%(who)s shared revision %(number)s with the other side",
        who=who(e),
        number=e["facts"].get("number", ""),
    ),
    "contract.text_agreed": lambda e: _(
        "%(who)s agreed to revision %(number)s", who=who(e), number=e["facts"].get("number", "")
    ),
    "contract.agreement_ended": lambda e: _("What was agreed no longer holds"),
    "negotiator.invited": lambda e: _("%(who)s invited %(name)s to negotiate", who=who(e), name=whom(e)),
    "negotiator.opened": lambda e: _("%(name)s opened the text", name=whom(e)),
    "negotiator.ended": lambda e: _("%(who)s ended the invitation of %(name)s", who=who(e), name=whom(e)),
    "contract.file_returned": lambda e: _("%(who)s took in a Word file that came back", who=who(e)),
    "comment.made": lambda e: _("%(who)s commented on the text", who=who(e)),
    "proposal.made": lambda e: _("%(who)s proposed a change", who=who(e)),
    "proposal.accepted": lambda e: _("%(who)s accepted a proposal", who=who(e)),
    "proposal.rejected": lambda e: _("%(who)s rejected a proposal", who=who(e)),
    "proposal.countered": lambda e: _("%(who)s answered with another proposal", who=who(e)),
    "proposal.withdrawn": lambda e: _("%(who)s took a proposal back", who=who(e)),
    "contract.unarchived": lambda e: _("%(who)s took it out of the archive", who=who(e)),
    "hold.set": lambda e: _("%(who)s holds it", who=who(e)),
    "hold.lifted": lambda e: _("%(who)s lifted the hold", who=who(e)),
    "archive.checked": lambda e: (
        _("A file does not match its fingerprint")
        if e["facts"].get("problem")
        else _("Its files were compared with their fingerprints")
    ),
    "deletion.asked": lambda e: _("%(who)s proposed to delete it", who=who(e)),
    "deletion.approved": lambda e: _("%(who)s approved the deletion", who=who(e)),
    "deletion.withdrawn": lambda e: _("%(who)s dropped the deletion", who=who(e)),
    "revision.frozen": lambda e: _(
        "%(who)s fixed the text of revision %(number)s", who=who(e), number=e["facts"].get("number", "")
    ),
    "document.added": lambda e: _("%(who)s added a PDF", who=who(e)),
    "annex.added": lambda e: _(
        "%(who)s added the annex “%(name)s”", who=who(e), name=e["details"].get("name", "")
    ),
    "annex.removed": lambda e: _(
        "%(who)s took out the annex “%(name)s”", who=who(e), name=e["details"].get("name", "")
    ),
    "document.removed": lambda e: _("%(who)s took the PDF out again", who=who(e)),
    "envelope.queued": lambda e: _("%(who)s sent it for signature", who=who(e)),
    "envelope.completed": lambda e: _("Everybody has signed"),
    "envelope.sealed": lambda e: _("The signed PDF was closed with our company seal"),
    "envelope.timestamped": lambda e: _("The company seal was given its timestamps"),
    "envelope.extended": lambda e: _("%(who)s takes answers longer", who=who(e)),
    "envelope.voided": lambda e: _("%(who)s withdrew the signing request", who=who(e)),
    "envelope.expired": lambda e: _("The signing request ran out of time"),
    "recipient.asked": lambda e: _("%(name)s was asked to sign", name=whom(e)),
    "recipient.reminded": lambda e: _("%(name)s was reminded", name=whom(e)),
    "recipient.opened": lambda e: _("%(name)s opened the contract", name=whom(e)),
    "recipient.signed": lambda e: _("%(name)s signed", name=whom(e)),
    "recipient.approved": lambda e: _("%(name)s approved it", name=whom(e)),
    "recipient.declined": lambda e: _("%(name)s declined to sign", name=whom(e)),
    "recipient.disowned": lambda e: _("%(name)s says the request is not for them", name=whom(e)),
    "recipient.corrected": lambda e: _("%(who)s corrected the details of a signer", who=who(e)),
    "recipient.undelivered": lambda e: _("A message to %(name)s could not be delivered", name=whom(e)),
    "code.undelivered": lambda e: _("A code by text message did not reach %(name)s", name=whom(e)),
    "number.disowned": lambda e: _("%(who)s says the telephone number is not theirs", who=who(e)),
    "paper.asked": lambda e: _("%(who)s asked for paper", who=who(e)),
    "question.asked": lambda e: _("%(who)s asked a question", who=who(e)),
    "new_phone.asked": lambda e: _("%(who)s asked for a new authenticator app", who=who(e)),
    "other_way.asked": lambda e: _("%(who)s asked for a one-time code", who=who(e)),
    "app.replaced": lambda e: _("%(who)s ended the authenticator app of a signer", who=who(e)),
    "enrolment_code.made": lambda e: _("%(who)s made a one-time code for a signer", who=who(e)),
    "invitation_code.made": lambda e: _(
        "%(who)s made a code to be read out to %(name)s", who=who(e), name=whom(e)
    ),
    "enquiry.doubted": lambda e: _("Somebody with another address asked whether a message was real"),
    "task.done": lambda e: _("%(who)s answered a request of a signer", who=who(e)),
    "consent.withdrawn": lambda e: _("%(name)s withdrew their consent to electronic records", name=whom(e)),
    "seal.failed": lambda e: _("The company seal could not be applied"),
}
