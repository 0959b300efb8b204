"""Consent to electronic records: what people are told, word for word, and what they answered."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from portal.errors import Conflict, Invalid
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.envelopes import Consent, Recipient
from portal.services import audit, installation, tasks
from portal.services.audit import Actor
from portal.services.consent_texts import SECTIONS, VERSION, WORDS, Section

READING, WORD = "reading_pages", "word_typed"


@dataclass(frozen=True)
class ConsentText:
    """A filled-in disclosure. `sha256` is of `words`, the exact text that is recorded."""

    version: str
    language: str
    sections: tuple[Section, ...]

    @property
    def words(self) -> str:
        return "\n\n".join(f"{heading}\n{body}" for heading, body in self.sections)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.words.encode()).hexdigest()


def text(contract: Contract, *, contact: str, language: str) -> ConsentText:
    """The disclosure for one contract. `contact` is the address people write to."""
    filled = {"reference": contract.reference, "company": contract.entity.name, "email": contact}
    language = language if language in SECTIONS else "en"
    sections = tuple((heading, body.format(**filled)) for heading, body in SECTIONS[language])
    return ConsentText(VERSION, language, sections)


def current(recipient: Recipient) -> Consent | None:
    """The consent that holds: to the present version, not taken back."""
    found: Consent | None = (
        Consent.select()
        .where(
            (Consent.recipient == recipient) & (Consent.version == VERSION) & Consent.withdrawn_at.is_null()
        )
        .order_by(Consent.given_at.desc())
        .first()
    )
    return found


def give(
    recipient: Recipient,
    contract: Contract,
    disclosure: ConsentText,
    *,
    typed_word: str | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Record that the recipient agreed to exactly this text; twice is once.

    A consumer proves with `typed_word` that the PDF opens (L-08). Everybody else proves it by
    reading the pages, which `reading_shown` adds at the confirming act. Call inside the transaction
    that holds the recipient's row.
    """
    if recipient.is_consumer:
        check_word(recipient, disclosure.language, typed_word or "")
    if current(recipient) is not None:
        return
    demonstration = WORD if recipient.is_consumer else ""
    Consent.create(
        recipient=recipient,
        version=disclosure.version,
        language=disclosure.language,
        text_sha256=disclosure.sha256,
        text=disclosure.words,
        demonstration=demonstration,
        given_at=now,
    )
    if recipient.problem == "consent_withdrawn":
        Recipient.update(problem="").where(Recipient.id == recipient.id).execute()
    audit.append(
        "consent.given",
        ("recipient", recipient.id),
        chain=contract.id,
        by=by,
        now=now,
        facts={
            "version": disclosure.version,
            "language": disclosure.language,
            "text_sha256": disclosure.sha256,
            "demonstration": demonstration or "to follow by reading the pages",
        },
    )


def reading_shown(recipient: Recipient) -> None:
    """The pages were read on screen: that reasonably demonstrates that they can be opened."""
    Consent.update(demonstration=READING).where(
        (Consent.recipient == recipient) & (Consent.demonstration == "") & Consent.withdrawn_at.is_null()
    ).execute()


def withdraw(recipient: Recipient, contract: Contract, *, by: Actor, now: datetime) -> None:
    """Take consent back: nothing more by electronic means; our side owes paper. Twice is once."""
    with transaction():
        ended = (
            Consent.update(withdrawn_at=now)
            .where((Consent.recipient == recipient) & Consent.withdrawn_at.is_null())
            .execute()
        )
        if not ended:
            return
        Recipient.update(problem="consent_withdrawn", next_reminder_at=None).where(
            Recipient.id == recipient.id
        ).execute()
        audit.append("consent.withdrawn", ("recipient", recipient.id), chain=contract.id, by=by, now=now)
        tasks.add("consent_withdrawn", contract, recipient, now=now)


def word_for(recipient: Recipient, language: str) -> str:
    """The word this recipient finds in the sample PDF: not to be guessed, the same at each visit."""
    words = WORDS.get(language, WORDS["en"])
    key = installation.current().settings.secret_key.encode()
    number = int.from_bytes(hmac.digest(key, f"word:{recipient.id}".encode(), "sha256")[:8])
    return words[number % len(words)]


def check_word(recipient: Recipient, language: str, typed: str) -> None:
    """Raise Invalid unless the typed word is the one in the PDF, of whichever language was shown."""
    if not typed.strip():
        raise Invalid({"word": _("Open the sample PDF and type the word it shows.")})
    allowed = {word_for(recipient, each) for each in WORDS}
    if typed.strip().casefold() not in allowed:
        raise Invalid({"word": _("This is not the word in the sample PDF. Open it and look again.")})


def demand(recipient: Recipient) -> None:
    """Raise Conflict unless the recipient's consent holds."""
    if current(recipient) is None:
        raise Conflict(_("Agree to electronic records first, or ask for paper."))
