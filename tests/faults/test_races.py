"""Two processes at the same moment: one act, one seal, one winner, no job twice."""

from __future__ import annotations

from tests.faults import doomed, invariants
from tests.faults.arena import LEASE, NOW, findings, together

ROUNDS = 20


def work_together(site):
    """Two workers finish what is due; what each took of the notes."""
    return together(site, NOW + LEASE, (doomed.work_beside,), (doomed.work_beside,))


def finished(site):
    found = findings(site)
    assert invariants.violations(found, finished=True) == []
    return found


def test_fifty_identical_confirms_from_five_processes_are_one_act(arena):
    copies = arena.stage("crowds", ROUNDS)
    one = copies.facts["one"]
    with copies.fresh() as site:
        tasks = [(doomed.many, "sign", 10, one)] * 5

        answers = [each for answer in together(site, NOW, *tasks) for each in answer]

        found = findings(site)
        assert answers == ["done"] * 50
        assert len(found.of("act", recipient_id=one["recipient"])) == 1
        assert invariants.violations(found, finished=False, promised=[one["recipient"]]) == []


def test_last_signers_at_once_make_one_seal_each_time(arena):
    copies = arena.stage("crowds", ROUNDS)
    pairs = copies.facts["pairs"]
    with copies.fresh() as site:
        tasks = [(doomed.in_step, "sign", [(pair[key],) for pair in pairs]) for key in ("claire", "ana")]

        answers = together(site, NOW, *tasks)
        work_together(site)

        found = finished(site)
        assert answers == [["done"] * ROUNDS] * 2
        for pair in pairs:
            assert found.of("envelope", id=pair["envelope"])[0]["status"] == "completed"
            assert len(found.of("document", envelope_id=pair["envelope"], kind="executed")) == 1


def test_voiding_against_signing_has_one_winner_and_the_trail_agrees(arena):
    copies = arena.stage("crowds", ROUNDS)
    singles, ana = copies.facts["singles"], copies.facts["ana"]
    with copies.fresh() as site:
        signing = (doomed.in_step, "sign", [(single["claire"],) for single in singles])
        voiding = (doomed.in_step, "void", [(single["envelope"], ana) for single in singles])

        signed, voided = together(site, NOW, signing, voiding)
        work_together(site)

        found = finished(site)
        for single, *answers in zip(singles, signed, voided, strict=True):
            status = found.of("envelope", id=single["envelope"])[0]["status"]
            assert sorted(answer == "done" for answer in answers) == [False, True]
            assert status == ("completed" if answers[0] == "done" else "voided")
            assert answers[status == "completed"].startswith("409 ")


def test_two_workers_take_two_hundred_jobs_and_none_twice(arena):
    copies = arena.stage("pile", 200)
    with copies.fresh() as site:
        taken = work_together(site)

        assert sorted(number for each in taken for number in each) == list(range(200))
        assert all(taken), "one worker took everything: they were not at work together"
        finished(site)
