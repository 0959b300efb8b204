"""The whole story of a contract by its phases, of one kind of act or of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from portal.i18n import lazy
from portal.models.contracts import Contract
from portal.services import audit, contract_states
from portal.services.timeline import WORDS, Event, Happening, note_of

MOST = 5_000
# A kind, what it is called, and the nouns of its acts; a move of the contract belongs to every kind.
KINDS = {
    "text": (
        lazy("Text and files"),
        ("revision", "document", "proposal", "comment", "negotiator", "terms", "annex"),
    ),
    "approval": (lazy("Approvals"), ("approval",)),
    "signing": (
        lazy("Signing"),
        ("envelope", "recipient", "consent", "seal", "code", "number", "app", "enrolment_code",
         "invitation_code", "enquiry", "paper", "question", "new_phone", "other_way", "task"),
    ),
    "moves": (lazy("Steps of the contract"), ()),
}  # fmt: skip
TEXT_ACTS = ("contract.edited", "contract.text_shared", "contract.text_agreed", "contract.agreement_ended")


@dataclass
class Phase:
    """One stretch of the story, oldest line first. `name` is a key of contract_states.PHASES."""

    name: str
    since: datetime
    lines: list[Happening] = field(default_factory=list)


def story(contract: Contract, kind: str = "") -> list[Phase]:
    """Everything people are told of, oldest first; a phase that was come back to stands there again."""
    phases: list[Phase] = []
    name = "draft"
    for event in audit.history(contract.id, newest_first=False, limit=MOST):
        name = contract_states.PHASE_OF.get(str(event["facts"].get("to", "")), name)
        line = happening(event) if belongs(event["act"], kind) else None
        if line is None:
            continue
        if not phases or phases[-1].name != name:
            phases.append(Phase(name, line.at))
        if not (
            phases[-1].lines and event["act"] == "contract.edited" and phases[-1].lines[-1].text == line.text
        ):
            phases[-1].lines.append(line)
    return phases


def happening(event: Event) -> Happening | None:
    write = WORDS.get(event["act"])
    text = write(event) if write else ""
    return Happening(datetime.fromisoformat(event["at"]), text, note_of(event)) if text else None


def belongs(act: str, kind: str) -> bool:
    if kind not in KINDS:
        return True
    if act in TEXT_ACTS:
        return kind == "text"
    noun = act.partition(".")[0]
    return noun == "contract" if kind == "moves" else noun in KINDS[kind][1]
