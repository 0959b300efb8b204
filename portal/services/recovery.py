"""The recovery key: one file, under a passphrase, without which a lost machine stays lost.

An administrator downloads it and keeps it apart from the backups. What is known of it is who took it
when, and the fingerprint of the keys it held, so that changed keys ask for a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.errors import Invalid
from portal.i18n import format_date
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.people import Person
from portal.services import audit, gateways, installation, key_sets, notices
from portal.services.audit import INSTALLATION, Actor

FACT = "recovery_key"
NEVER, KEPT, OUTDATED = "never", "kept", "outdated"
LEAST, MOST = 15, 256


@dataclass(frozen=True)
class State:
    """`kind`: never, kept or outdated (the keys changed since); `by` is who took it last."""

    kind: str
    by: str = ""
    at: datetime | None = None

    @property
    def is_good(self) -> bool:
        return self.kind == KEPT


def state(now: datetime) -> State:
    """Whether somebody keeps a recovery key that holds today's keys."""
    known = installation.fact(FACT)
    if known is None:
        return State(NEVER)
    at = datetime.fromisoformat(known["at"])
    person = Person.get_or_none(Person.id == known["by"])
    current = known["fingerprint"] == key_sets.fingerprint(installation.current().settings)
    return State(KEPT if current and at <= now else OUTDATED, person.name if person else "", at)


def in_words(known: State) -> str:
    """One sentence for people."""
    if known.kind == NEVER:
        return _("Nobody has downloaded the recovery key yet.")
    named = {"name": known.by or _("Somebody"), "day": format_date(known.at.date()) if known.at else ""}
    if known.kind == OUTDATED:
        return _(
            "The keys have changed since %(name)s downloaded the recovery key on %(day)s: download it again.",
            **named,
        )
    return _("%(name)s downloaded the recovery key on %(day)s.", **named)


def wanted(now: datetime) -> State | None:
    """The state where it is not good and matters: real people are written to. Else None."""
    if gateways.all_stay_here():
        return None
    known = state(now)
    return None if known.is_good else known


def check(passphrase: str, repeated: str) -> None:
    """Raise Invalid unless the passphrase is long enough and was typed twice the same."""
    errors = {}
    if len(passphrase) < LEAST:
        errors["passphrase"] = _(
            "Write at least %(count)s characters; several words are easiest to keep.", count=LEAST
        )
    elif len(passphrase) > MOST:
        errors["passphrase"] = _("Write at most %(count)s characters.", count=MOST)
    elif passphrase != repeated:
        errors["repeated"] = _("This is not what you wrote above.")
    if errors:
        raise Invalid(errors)


def make(passphrase: str, repeated: str, *, by: Actor, now: datetime) -> bytes:
    """The recovery key as a file, noted on the trail. Raises Invalid."""
    check(passphrase, repeated)
    settings = installation.current().settings
    file = key_sets.protect(key_sets.gather(settings), passphrase, now, company=notices.company()["name"])
    known = {"at": now.isoformat(), "by": by.id, "fingerprint": key_sets.fingerprint(settings)}
    with transaction():
        installation.set_fact(FACT, known, now)
        audit.append(
            "recovery_key.downloaded", ("installation", INSTALLATION), chain=INSTALLATION, by=by, now=now,
            facts={"fingerprint": known["fingerprint"]},
        )  # fmt: skip
    return file
