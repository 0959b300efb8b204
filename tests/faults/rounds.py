"""Rounds of killing: copy the stage, kill, start again past the lease, look at everything.

Every choice comes from one seed, so that a round that broke something can be played again.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.faults import doomed, invariants, stage, vendors
from tests.faults.arena import LEASE, NOW, Arena, Broken, Lived, findings, foreign_verdict, live
from tests.faults.doomed import Doom, Site
from tests.faults.findings import Findings, differences, outcome

ROOT = Path(__file__).resolve().parents[2]
FAILPOINT = re.compile(r"failpoints\.reach\(\s*(f?[\"'])([^\"']*)")


def failpoints_in_code() -> set[str]:
    """Every name the product marks; a name that is computed counts as `?`."""
    found = set()
    for path in (ROOT / "portal").rglob("*.py"):
        if path.name != "failpoints.py":
            text = path.read_text()
            names = FAILPOINT.findall(text)
            found |= {"?" if "f" in quote else name for quote, name in names}
            if len(names) != text.count("failpoints.reach("):
                found.add("?")
    return found


# --- Totals --------------------------------------------------------------------------------------------


@dataclass
class Totals:
    """What a run came to, for people and for programs."""

    seed: int
    rounds: int = 0
    kills: int = 0
    acts: int = 0
    jobs: int = 0
    sealed: int = 0
    where: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def killed(self, where: str) -> None:
        self.kills += 1
        self.where[where] += 1

    def looked(self, found: Findings) -> None:
        self.rounds += 1
        self.acts += len(found["act"])
        self.jobs += sum(job["status"] == "done" for job in found["job"])
        self.sealed += len(found.of("document", kind="executed", version=1))

    def add(self, other: Totals) -> None:
        for name in ("rounds", "kills", "acts", "jobs", "sealed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.where += other.where
        self.violations += other.violations

    def as_text(self) -> str:
        said = {name: value for name, value in vars(self).items() if name not in ("where", "violations")}
        return json.dumps(said | {"violations": len(self.violations)})


# --- Killing the worker ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Undisturbed:
    """One run without a kill: what it passes, how long it takes, what it comes to."""

    visits: tuple[str, ...]
    statements: int
    took_s: float
    outcome: dict[str, Any]


def undisturbed(arena: Arena) -> Undisturbed:
    copies = arena.stage("outbox")
    with copies.fresh() as site:
        lived = live(site, NOW + stage.LATER, doomed.work)
        found = findings(site)
        wrong = invariants.violations(found, finished=True) + foreign_verdict(site, found, arena.time_root)
        if wrong:
            raise Broken("\n".join(wrong))
        return Undisturbed(lived.visits, lived.statements, lived.took_s, outcome(found))


Fate = Doom | float  # a named point or a statement; or a moment, in seconds


def walked(arena: Arena) -> set[str]:
    """Every named point that the worker and each press pass when nothing is killed."""
    found = set(undisturbed(arena).visits)
    for press in presses(arena.stage("desk").facts):
        found |= set(calm_press(arena, press).visits)
    with vendors.opened(arena) as vendor, vendor.fresh() as site:
        found |= vendor.whole_way(site)
    return found


def worker_fates(
    calm: Undisturbed, chance: random.Random, *, each: int, statements: int, moments: int
) -> list[Fate]:
    """Every named point, `each` times at visits of its own; some statements; some moments."""
    fates: list[Fate] = []
    for name, visits in sorted(Counter(calm.visits).items()):
        for visit in chance.sample(range(1, visits + 1), min(each, visits)):
            fates.append(Doom(name, visit))
    fates += [Doom(statement=n) for n in sorted(chance.sample(range(1, calm.statements), statements))]
    fates += [chance.uniform(0.02, calm.took_s) for _moment in range(moments)]
    chance.shuffle(fates)
    return fates


def kill_workers(
    arena: Arena, calm: Undisturbed, fates: list[Fate], seed: int, *, at_once: int = 2
) -> Totals:
    """Kill one worker after another on the same copy, `at_once` of them, then let one finish."""
    totals = Totals(seed)
    for start in range(0, len(fates), at_once):
        with arena.stage("outbox").fresh() as site:
            totals.violations += worker_round(arena, site, calm, fates[start : start + at_once], totals)
    return totals


def worker_round(arena: Arena, site: Site, calm: Undisturbed, fates: list[Fate], totals: Totals) -> list[str]:
    arena.post.arrived.clear()
    before = {notice["id"] for notice in findings(site).of("notice", status="sent")}
    now, killed, wrong = NOW + stage.LATER, 0, []
    for fate in fates:
        doom, after_s = (fate, 0.0) if isinstance(fate, Doom) else (Doom(), fate)
        if live(site, now, doomed.work, doom=doom, after_s=after_s).was_killed:
            killed += 1
            totals.killed(str(doom) if isinstance(fate, Doom) else "a moment")
        wrong += invariants.violations(findings(site), finished=False)
        now += LEASE
    live(site, now, doomed.work)
    found = findings(site)
    totals.looked(found)
    wrong += invariants.violations(found, finished=True)
    waiting = {n["id"] for n in found.of("notice", channel="mail")} - before
    wrong += invariants.undelivered(found, arena.post.arrived, waiting, killed)
    wrong += differences(calm.outcome, outcome(found))
    if totals.rounds % 4 == 1:
        wrong += foreign_verdict(site, found, arena.time_root)
    return [f"{arena.kind}, {', '.join(map(str, fates))}: {each}" for each in wrong]


# --- Killing the web ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Press:
    """Something a person does, how it is asked, and what must be true after they did it again."""

    name: str
    task: Callable[..., Any]
    given: tuple[Any, ...]
    is_right: Callable[[Any, Findings], bool]
    recipient: str = ""


def presses(facts: dict[str, Any]) -> list[Press]:
    ana, draft, first, last = (facts[name] for name in ("ana", "draft", "first", "last"))
    return [
        at_ceremony("first", first, {"document_sha256": first["sha256"]}, "confirm", "signed"),
        at_ceremony("last", last, {"document_sha256": last["sha256"]}, "confirm", "signed"),
        at_ceremony("decline", facts["declining"], {"text": "Too dear."}, "decline", "declined"),
        at_desk(
            "send", facts, facts["reference"], "send", {"message": "", "expires_on": "2026-12-20"},
            lambda found: len(found.of("envelope", contract_id=facts["ready"])) == 1,
        ),
        at_desk(
            "void", facts, facts["voidable_reference"], "signing/void", {"reason": "The price is wrong."},
            lambda found: found.of("envelope", id=facts["voidable"])[0]["status"] == "voided",
        ),
        Press(
            "upload", doomed.act, ("upload", facts["pdf"], ana),
            lambda answer, found: len(found.of("document", id=answer, kind="upload")) == 1,
        ),
        Press(
            "fix", doomed.act, ("fix", draft, ana),
            lambda answer, found: len(found.of("document", contract_id=draft, kind="shown")) == 1
            and found.of("contract", id=draft)[0]["state"] == "ready_to_sign",
        ),
    ]  # fmt: skip


def at_ceremony(name: str, at: dict[str, str], form: dict[str, str], button: str, status: str) -> Press:
    """A signer's button: done once, the answer leads to their page, which offers it no more."""
    path = at["path"]

    def is_right(answer: Any, found: Findings) -> bool:
        mine = found.of("act", recipient_id=at["recipient"])
        stands = found.of("recipient", id=at["recipient"])[0]["status"]
        code, where, page_code, page = answer
        leads = code == 303 and where.endswith(path) and page_code == 200 and f"{path}/{button}" not in page
        return leads and len(mine) == 1 and stands == status

    given = (f"{path}/{button}", form, {stage.SIGNER: at["token"]}, path)
    return Press(name, doomed.press, given, is_right, at["recipient"])


def at_desk(
    name: str, facts: dict[str, Any], reference: str, rule: str, form: dict[str, str],
    is_so: Callable[[Findings], bool],
) -> Press:  # fmt: skip
    """A button of ours: done now (303), or refused because it was done before the kill (409)."""

    def is_right(answer: Any, found: Findings) -> bool:
        return answer[0] in (303, 409) and answer[2] == 200 and is_so(found)

    page = f"/contracts/{reference}/signing"
    given = (f"/contracts/{reference}/{rule}", form, {stage.STAFF: facts["cookie"]}, page)
    return Press(name, doomed.press, given, is_right)


def calm_press(arena: Arena, press: Press) -> Lived:
    """The press without a kill, once for each arena. Raises Broken when even that is not right."""
    if press.name not in arena.calm:
        with arena.stage("desk").fresh() as site:
            lived = live(site, NOW, press.task, *press.given)
            wrong = answered(press, lived.answer, findings(site), finished=False)
        if wrong:
            raise Broken("\n".join([press.name, *wrong]))
        arena.calm[press.name] = lived
    return arena.calm[press.name]


def kill_webs(
    arena: Arena,
    seed: int,
    chance: random.Random,
    *,
    each: int,
    statements: int,
    moments: int,
    names: Collection[str] = (),
) -> Totals:
    """Kill the web process during each press, or those named: at points, at statements, at any moment."""
    totals = Totals(seed)
    for press in presses(arena.stage("desk").facts):
        if names and press.name not in names:
            continue
        calm = calm_press(arena, press)
        for fate in press_fates(calm, chance, each=each, statements=statements, moments=moments):
            with arena.stage("desk").fresh() as site:
                totals.violations += press_round(arena, site, press, fate, totals)
    return totals


def press_fates(
    calm: Lived, chance: random.Random, *, each: int, statements: int, moments: int
) -> list[Fate]:
    fates: list[Fate] = []
    for name, visits in sorted(Counter(calm.visits).items()):
        fates += [Doom(name, visit) for visit in chance.sample(range(1, visits + 1), min(each, visits))]
    most = min(statements, calm.statements - 1)
    fates += [Doom(statement=n) for n in sorted(chance.sample(range(1, calm.statements), most))]
    return fates + [chance.uniform(0.01, calm.took_s) for _moment in range(moments)]


def press_round(arena: Arena, site: Site, press: Press, fate: Fate, totals: Totals) -> list[str]:
    """Kill it, look, press the same again, look; and every third time let the worker finish, and look."""
    doom, after_s = (fate, 0.0) if isinstance(fate, Doom) else (Doom(), fate)
    if live(site, NOW, press.task, *press.given, doom=doom, after_s=after_s).was_killed:
        totals.killed(f"{press.name}: {doom if isinstance(fate, Doom) else 'a moment'}")
    wrong = invariants.violations(findings(site), finished=False)
    again = live(site, NOW + timedelta(seconds=5), press.task, *press.given)
    found = findings(site)
    wrong += answered(press, again.answer, found, finished=False)
    if totals.rounds % 3 == 0:
        live(site, NOW + LEASE, doomed.work)
        found = findings(site)
        wrong += answered(press, again.answer, found, finished=True)
    totals.looked(found)
    return [f"{arena.kind}, {press.name}, {fate}: {each}" for each in wrong]


def answered(press: Press, answer: Any, found: Findings, *, finished: bool) -> list[str]:
    """What is wrong with the answer, with the page seen afterwards, and with what was kept of it."""
    promised = [press.recipient] if press.recipient else []
    wrong = invariants.violations(found, finished=finished, promised=promised)
    return wrong if press.is_right(answer, found) else [*wrong, f"answered {str(answer)[:2000]}"]
