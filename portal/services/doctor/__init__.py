"""`countersign doctor`: what is wrong with this installation, and what to do about it.

Each check looks at one thing, says one sentence and, unless all is well, one more about what to do.
Nothing is created or changed, no message is sent, and no check takes longer than five seconds. What a
broken part hides is left out: no table is looked at while the database does not answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from portal import scrub
from portal.models import base
from portal.services import installation
from portal.settings import Settings, secret_values

OK, WARNING, WRONG = "ok", "warning", "wrong"
SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """`state` is ok, warning or wrong; `remedy` says what to do where it is not ok."""

    key: str
    state: str
    sentence: str
    remedy: str = ""


@dataclass
class Patient:
    """What the checks look at. `times` gathers clocks met on the way: whose, theirs, ours.

    `has_tables` says that the database answers with the tables of this version.
    """

    settings: Settings
    clock: Callable[[], datetime]
    has_tables: bool = False
    times: list[tuple[str, datetime, datetime]] = field(default_factory=list)


Check = Callable[[Patient], Finding | None]


def well(key: str, sentence: str) -> Finding:
    return Finding(key, OK, sentence)


def warn(key: str, sentence: str, remedy: str) -> Finding:
    return Finding(key, WARNING, sentence, remedy)


def wrong(key: str, sentence: str, remedy: str) -> Finding:
    return Finding(key, WRONG, sentence, remedy)


def examine(environ: Mapping[str, str], clock: Callable[[], datetime]) -> list[Finding]:
    """Every finding, in the order in which to mend things."""
    from portal.services.doctor import contents, database, machine, outside

    found, settings = machine.settings(environ)
    if settings is None:
        return found + machine.bare()
    scrub.hide(secret_values(settings))
    patient = Patient(settings, clock)
    installation.open_installation(settings)
    found += machine.bare() + run(machine.CHECKS, patient)
    reached = run((database.database,), patient)
    if is_well(reached):  # else a look at the tables would make an empty database
        reached += run((database.tables, database.whole), patient)
    patient.has_tables = is_well(reached)
    if patient.has_tables:
        reached += run(contents.CHECKS, patient)
    reached += run(outside.CHECKS, patient)
    base.disconnect()
    return found + reached


def run(checks: Sequence[Check], patient: Patient) -> list[Finding]:
    return [finding for check in checks if (finding := timed(check, patient)) is not None]


def timed(check: Check, patient: Patient, seconds: float = SECONDS) -> Finding | None:
    """The finding, or that there was none in time. The thread of a check that hangs is left behind."""
    name = check.__name__.replace("_", "-")
    answers: list[Finding | None] = []

    def look() -> None:
        try:
            answers.append(check(patient))
        except Exception as error:
            said = f"It could not be looked at: {type(error).__name__}: {error}"
            answers.append(
                wrong(name, scrub.text(" ".join(said.split()))[:500], "See the rest of this list first.")
            )
        finally:
            if base.db.obj is not None and not base.db.is_closed():
                base.db.close()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        return wrong(
            name, f"It did not answer within {seconds:.0f} seconds.", "Look at the machine behind it."
        )
    finding = answers[0]
    return finding if finding is None else scrubbed(finding)


def scrubbed(finding: Finding) -> Finding:
    return Finding(finding.key, finding.state, scrub.text(finding.sentence), scrub.text(finding.remedy))


def is_well(found: Iterable[Finding]) -> bool:
    """Whether nothing is wrong; warnings are allowed."""
    return all(finding.state != WRONG for finding in found)


def as_dict(found: Sequence[Finding]) -> dict[str, Any]:
    return {"well": is_well(found), "findings": [asdict(finding) for finding in found]}


def as_text(found: Sequence[Finding]) -> str:
    """One line per finding, and a last one with the sum."""
    width = max(len(finding.key) for finding in found)
    lines = [
        f"{finding.state:<8} {finding.key:<{width}}  {finding.sentence} {finding.remedy}".rstrip()
        for finding in found
    ]
    counts = [f"{sum(f.state == state for f in found)} {state}" for state in (WRONG, WARNING, OK)]
    return "\n".join([*lines, "", ", ".join(counts)])
