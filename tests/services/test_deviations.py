from __future__ import annotations

import pytest

from portal.i18n import use
from portal.models.contracts import Contract
from portal.services import deviations, documents, drafts, revisions, uploads
from tests.services import signing
from tests.services.approving import change_clause, change_terms
from tests.services.drafting import actor, draft


def of(contract):
    return deviations.of(contract, revisions.current(contract))


def levels(contract):
    return [(each.key, each.level, each.role) for each in of(contract)]


def test_the_templates_own_text_differs_in_nothing(cast, now):
    contract = draft(cast, now)

    assert of(contract) == []


def test_answers_are_no_differences(cast, now):
    contract = draft(cast, now)

    def answer(terms):
        terms["commercial"] |= {"fee": "99000.00", "fee_period": "quarter", "length_months": 12}
        terms["product"] = "Another"

    change_terms(contract, cast.ana, now, answer)

    assert of(contract) == []


def test_a_term_is_said_from_and_to_with_its_level(cast, now):
    contract = draft(cast, now)
    change_terms(contract, cast.ana, now, lambda t: t["severities"][0]["response"].update(min=15))

    [found] = of(contract)

    assert (found.kind, found.key) == ("term", "severities.S1.response")
    assert found.label == "S1: Critical, first answer"
    assert found.before == "Answered within 30 minutes, day and night."
    assert found.after == "Answered within 15 minutes, day and night."
    assert (found.level, found.role) == ("approval", "service_approver")
    with use("fr"):
        assert of(contract)[0].before == "Réponse sous 30 minutes, jour et nuit."


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t["severities"][0]["response"].update(min=5),
         [("severities.S1.response", "not_allowed", "")]),
        (lambda t: t["severities"][0]["response"].update(calendar="business"),
         [("severities.S1.response", "approval", "service_approver")]),
        (lambda t: t["severities"][2]["response"].update(min=600),
         [("severities.S3.response", "acceptable", "")]),
        (lambda t: t["credits"].update(sole_remedy=not t["credits"]["sole_remedy"]),
         [("credits", "approval", "finance")]),
        (lambda t: t["credits"]["caps"].update(period_pct="45"),
         [("credits.caps.period_pct", "approval", "executive")]),
        (lambda t: t["commercial"].update(liability_cap={"amount": "300000.00"}),
         [("commercial.liability_cap", "approval", "legal")]),  # 19.4 months of EUR 15,500
        (lambda t: t["commercial"].update(carve_outs=[]),
         [("commercial.carve_outs", "approval", "legal")]),
        (lambda t: t["commercial"].update(uplift_pct="3"), [("commercial.fee", "approval", "finance")]),
        (lambda t: t["scope"]["exclusions"].pop(), [("scope", "acceptable", "")]),
        (lambda t: t["escalation"][0].update(contact="duty desk"), [("escalation", "acceptable", "")]),
    ],
)  # fmt: skip
def test_the_level_of_a_term(cast, now, change, expected):
    contract = draft(cast, now)

    change_terms(contract, cast.ana, now, change)

    assert levels(contract) == expected


def test_what_no_sentence_says_is_seen_too(cast, now):
    contract = draft(cast, now)
    change_terms(
        contract, cast.ana, now,
        lambda t: t["severities"][0]["description"].update(
            {contract.languages[0]: "Selling stops for everybody."}
        ),
    )  # fmt: skip

    [found] = of(contract)

    assert found.key == "severities.S1"
    assert found.after == "Selling stops for everybody."


def test_where_the_vendor_owes_it_a_tighter_promise_is_acceptable_and_a_looser_is_not(cast, now):
    contract = draft(cast, now, side="customer")
    change_terms(contract, cast.ana, now, lambda t: t["severities"][0]["response"].update(min=5))
    assert levels(contract) == [("severities.S1.response", "acceptable", "")]

    change_terms(contract, cast.ana, now, lambda t: t["severities"][0]["response"].update(min=45))
    assert levels(contract) == [("severities.S1.response", "approval", "service_approver")]


def test_clauses_changed_added_removed_and_moved_ask_legal(cast, now):
    contract = draft(cast, now)
    keys = [each["key"] for each in revisions.current(contract).clauses]
    change_clause(contract, cast.ana, now, 0, "Other words.")
    added = drafts.add_clause(contract, keys[1], by=actor(cast.ana), now=now)
    drafts.remove_clause(contract, keys[2], by=actor(cast.ana), now=now)
    drafts.move_clause(contract, keys[4], 1, by=actor(cast.ana), now=now)

    found = {each.key: each for each in of(contract)}

    assert set(found) == {f"clauses.{keys[0]}", f"clauses.{added}", f"clauses.{keys[2]}", "clauses"}
    assert {(each.kind, each.level, each.role) for each in found.values()} == {
        ("clause", "approval", "legal")
    }
    assert found[f"clauses.{keys[0]}"].after == "Other words."
    assert found[f"clauses.{keys[2]}"].after == ""
    assert found[f"clauses.{added}"].before == ""


def test_words_in_a_language_the_contract_is_not_written_in_do_not_count(cast, now):
    contract = draft(cast, now)
    assert contract.languages == ["fr"] or contract.languages == ["en"]
    other = "en" if contract.languages == ["fr"] else "fr"

    def write(revision):
        clauses = [dict(each, text={**each["text"], other: "x"}) for each in revision.clauses]
        revision.clauses = clauses

    drafts.write(contract, "clauses", write, by=actor(cast.ana), now=now)

    assert of(contract) == []


def test_the_other_sides_paper_asks_legal_as_a_whole(cast, now):
    contract = draft(cast, now)
    pdf = signing.printed(1, 2).pdf
    upload = uploads.take(pdf, "their paper.pdf", person=cast.ana, now=now)
    uploads.attach(contract, upload, mode=revisions.READING, by=actor(cast.ana), now=now)

    [found] = of(Contract.get_by_id(contract.id))[:1]

    assert (found.key, found.kind, found.level, found.role) == ("file", "clause", "approval", "legal")
    assert found.after == "their paper.pdf"


def test_copies_are_compared_with_the_template_not_with_what_they_copy(cast, now):
    from portal.services import new_contracts

    contract = draft(cast, now)
    change_clause(contract, cast.ana, now, 0, "Other words.")

    made = new_contracts.copy_from(contract, owner=cast.ana, by=actor(cast.ana), now=now)

    assert [each.key for each in of(made)] == [each.key for each in of(contract)]


def test_an_annex_and_what_prevails_ask_whoever_answers_for_them(cast, now):
    contract = draft(cast, now)
    for kind, name, position in (("dpa", "Our DPA", 1), ("other", "Side letter", 2)):
        documents.add(
            b"%PDF-1.7 invented", "annex", file_name="a.pdf", now=now, contract=contract,
            facts={"annex": {"name": name, "kind": kind, "position": position}},
        )  # fmt: skip
    contract.master_agreement = "MSA of 3 March 2026"

    found = [(each.label, each.level, each.role) for each in of(contract)]

    assert found == [
        ("Annex: Our DPA", "approval", "privacy"),
        ("Annex: Side letter", "approval", "legal"),
        ("Which document prevails", "approval", "legal"),
    ]
