"""Negotiation: what each side may see, propose and answer, and when both have agreed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.models.contracts import Contract, Revision
from portal.models.jobs import Job
from portal.models.negotiation import Agreement, Comment, Negotiator, Proposal
from portal.models.notices import Notice
from portal.services import (
    agreements,
    audit,
    comments,
    contracts,
    drafts,
    home,
    jobs,
    negotiation,
    negotiation_news,
    proposals,
    revisions,
)
from tests.services.drafting import actor, draft
from tests.services.talks import invite, opened, ours

RESPONSE = "terms.severities.S1.response"


def acts(contract):
    return [each["act"] for each in audit.history(contract.id, newest_first=False)]


def latest(contract):
    return agreements.latest(contract)


def clause_place(contract):
    return f"clauses.{latest(contract).clauses[1]['key']}"


# -- Sharing ----------------------------------------------------------------------------------


def test_sharing_moves_the_contract_and_fixes_the_revision(cast, now):
    contract, _ana, _claire = opened(cast, now)
    shared = latest(contract)

    drafts.save_title(contract, "Another title", by=actor(cast.ana), now=now)
    drafts.remove_clause(contract, shared.clauses[-1]["key"], by=actor(cast.ana), now=now)

    assert contract.state == "negotiation"
    assert shared.shared_at == now
    assert latest(contract).number > shared.number
    assert Revision.get_by_id(shared.id).clauses == shared.clauses
    assert {"contract.submitted", "contract.shared", "contract.text_shared"} <= set(acts(contract))


def test_those_invited_get_a_link_with_the_first_text_in_their_language(cast, now):
    contract = draft(cast, now)
    invite(contract, cast, now)
    assert Notice.select().count() == 0

    negotiation.share(contract, note="Bonjour", by=actor(cast.ana), now=now)

    [mail] = Notice.select()
    assert (mail.address, mail.language, mail.kind) == ("claire@castellan.example", "fr", "negotiation_text")
    assert "vous montre" in mail.subject


def test_a_link_is_good_for_whom_it_was_made_until_it_ends(cast, now, monkeypatch):
    tokens = iter(["first-token", "second-token"])
    monkeypatch.setattr(negotiation_news.sessions, "new_token", lambda: next(tokens))
    contract, _ana, _claire = opened(cast, now)

    assert negotiation_news.find_link("first-token", now).email == "claire@castellan.example"
    assert negotiation_news.find_link("first-token", now + timedelta(days=61)) is None
    invite(contract, cast, now)
    assert negotiation_news.find_link("first-token", now) is None
    row = negotiation_news.find_link("second-token", now)
    negotiation.end_invitation(contract, row.id, by=actor(cast.ana), now=now)
    assert negotiation_news.find_link("second-token", now) is None
    with pytest.raises(NotFound):
        negotiation.entrant(contract.reference, "claire@castellan.example")


def test_nothing_is_shared_without_a_change_a_reader_or_a_whole_text(cast, now):
    contract = draft(cast, now)
    with pytest.raises(Conflict, match="Invite somebody"):
        negotiation.share(contract, note="", by=actor(cast.ana), now=now)
    invite(contract, cast, now)
    negotiation.share(contract, note="", by=actor(cast.ana), now=now)

    with pytest.raises(Conflict, match="has this text already"):
        negotiation.share(contract, note="", by=actor(cast.ana), now=now)
    with pytest.raises(NotAllowed):
        negotiation.share(contract, note="", by=actor(cast.ben), now=now)


def test_an_open_internal_comment_keeps_the_text_inside(cast, now):
    contract = draft(cast, now)
    invite(contract, cast, now)
    said = comments.add(contract, ours(cast.ana), "", "Is 30 minutes safe?", internal=True, now=now)

    with pytest.raises(Conflict, match="Internal comments"):
        negotiation.share(contract, note="", by=actor(cast.ana), now=now)
    comments.settle(contract, said.id, ours(cast.ben), now=now)

    assert negotiation.share(contract, note="", by=actor(cast.ana), now=now).shared_at == now


def test_colleagues_are_not_invited_as_the_other_side(cast, now):
    contract = draft(cast, now)

    with pytest.raises(Invalid):
        negotiation.invite(
            contract, name="Ben", email=cast.ben.email, language="en", by=actor(cast.ana), now=now
        )


# -- Seeing -------------------------------------------------------------------------------------


def test_only_the_address_invited_enters_and_only_once_a_text_is_shared(cast, now):
    contract = draft(cast, now)
    invite(contract, cast, now)
    with pytest.raises(NotFound):
        negotiation.entrant(contract.reference, "claire@castellan.example")

    negotiation.share(contract, note="", by=actor(cast.ana), now=now)

    assert negotiation.entrant(contract.reference, "claire@castellan.example").contract == contract
    assert [each.contract.id for each in negotiation.open_to("claire@castellan.example")] == [contract.id]
    for address in ("marc@castellan.example", "", cast.cleo.email):
        with pytest.raises(NotFound):
            negotiation.entrant(contract.reference, address)


def test_the_other_side_reads_no_internal_comment(cast, now):
    contract, ana, claire = opened(cast, now)
    comments.add(contract, ana, "", "We would go to 15 minutes.", internal=True, now=now)
    comments.add(contract, ana, "", "Please look at clause 2.", now=now)

    comments.add(contract, claire, RESPONSE, "Too slow for us.", internal=True, now=now)

    assert [each.text for each in comments.of(contract, "theirs")] == [
        "Please look at clause 2.",
        "Too slow for us.",
    ]
    hidden = Comment.get(Comment.is_internal)
    with pytest.raises(NotFound):
        comments.settle(contract, hidden.id, claire, now=now)


# -- Proposing and answering -----------------------------------------------------------------------


def test_an_accepted_figure_is_in_the_draft_and_not_yet_in_what_was_shared(cast, now):
    contract, ana, claire = opened(cast, now)
    value = proposals.typed_value(latest(contract), RESPONSE, "15 min")
    asked = proposals.add(contract, claire, RESPONSE, value, note="Two shops", now=now)

    done = proposals.accept(contract, asked.id, ana, now=now)

    assert (done.state, done.decided_by) == ("accepted", "Ana")
    assert latest(contract).terms["severities"][0]["response"]["min"] == 15
    assert agreements.last_shared(contract).terms["severities"][0]["response"]["min"] != 15
    assert latest(contract).author == cast.ana
    assert [act for act in acts(contract) if act.startswith("proposal.")] == [
        "proposal.made", "proposal.accepted",
    ]  # fmt: skip


def test_a_clause_is_proposed_countered_and_accepted_by_the_other_side(cast, now):
    contract, ana, claire = opened(cast, now)
    place = clause_place(contract)
    asked = proposals.add(contract, claire, place, {"en": "We pay in 60 days."}, now=now)

    answer = proposals.counter(
        contract, asked.id, ana, {"en": "We pay in 45 days."}, note="Half way", now=now
    )
    proposals.accept(contract, answer.id, claire, now=now)

    key = place.removeprefix("clauses.")
    assert drafts.clause(latest(contract), key)["text"]["en"] == "We pay in 45 days."
    assert answer.answers_id == asked.id
    assert {each.state for each in Proposal.select()} == {"countered", "accepted"}


def test_a_clause_may_be_proposed_away(cast, now):
    contract, ana, claire = opened(cast, now)
    place = clause_place(contract)

    proposals.accept(contract, proposals.add(contract, claire, place, None, now=now).id, ana, now=now)

    assert drafts.clause(latest(contract), place.removeprefix("clauses.")) is None


def test_rejecting_needs_a_reason_and_changes_nothing(cast, now):
    contract, ana, claire = opened(cast, now)
    asked = proposals.add(contract, claire, clause_place(contract), {"en": "Free of charge."}, now=now)
    before = latest(contract)

    with pytest.raises(Invalid):
        proposals.reject(contract, asked.id, ana, reason=" ", now=now)
    proposals.reject(contract, asked.id, ana, reason="It is not free.", now=now)

    assert latest(contract) == before
    assert Proposal.get_by_id(asked.id).decision_reason == "It is not free."


def test_nobody_answers_their_own_side_and_nothing_is_answered_twice(cast, now):
    contract, ana, claire = opened(cast, now)
    asked = proposals.add(contract, claire, clause_place(contract), {"en": "Other words."}, now=now)

    with pytest.raises(NotAllowed):
        proposals.accept(contract, asked.id, claire, now=now)
    with pytest.raises(NotAllowed):
        proposals.take_back(contract, asked.id, ana, now=now)
    proposals.accept(contract, asked.id, ana, now=now)
    with pytest.raises(Conflict, match="answered this already"):
        proposals.reject(contract, asked.id, ana, reason="No", now=now)
    with pytest.raises(NotFound):
        proposals.accept(contract, "nothing", ana, now=now)


def test_a_place_that_changed_meanwhile_is_not_overwritten(cast, now):
    contract, ana, claire = opened(cast, now)
    place = clause_place(contract)
    asked = proposals.add(contract, claire, place, {"en": "Theirs."}, now=now)
    clause = drafts.clause(latest(contract), place.removeprefix("clauses."))
    drafts.save_clause(
        contract, clause["key"], heading={}, text={"en": "Ours."}, level=1, seen=drafts.mark(clause),
        by=actor(cast.ana), now=now,
    )  # fmt: skip

    with pytest.raises(Conflict, match="counter-proposal"):
        proposals.accept(contract, asked.id, ana, now=now)

    assert drafts.clause(latest(contract), clause["key"])["text"]["en"] == "Ours."
    assert Proposal.get_by_id(asked.id).state == "open"


@pytest.mark.parametrize(
    ("place", "after", "error"),
    [
        ("terms.severities.S9.response", None, NotFound),
        ("clauses.nothing", {"en": "x"}, NotFound),
        ("somewhere", {"en": "x"}, NotFound),
    ],
)
def test_a_place_that_is_none_is_not_found(cast, now, place, after, error):
    contract, _ana, claire = opened(cast, now)

    with pytest.raises(error):
        proposals.add(contract, claire, place, after, now=now)


def test_proposing_what_stands_there_is_refused(cast, now):
    contract, _ana, claire = opened(cast, now)
    place = clause_place(contract)
    text = drafts.clause(latest(contract), place.removeprefix("clauses."))["text"]

    with pytest.raises(Invalid):
        proposals.add(contract, claire, place, dict(text), now=now)
    with pytest.raises(Invalid):
        proposals.typed_value(latest(contract), RESPONSE, "soon")


def test_nothing_is_proposed_before_sharing_or_after_withdrawing(cast, now):
    contract = draft(cast, now)
    with pytest.raises(Conflict, match="not being negotiated"):
        proposals.add(contract, ours(cast.ana), clause_place(contract), {"en": "x"}, now=now)


# -- Agreeing ----------------------------------------------------------------------------------------


def agree_both(contract, ana, claire, now):
    sha256 = agreements.text_sha256(contract, latest(contract))
    assert negotiation.agree(contract, claire, seen_sha256=sha256, now=now) is False
    assert negotiation.agree(contract, ana, seen_sha256=sha256, now=now) is True


def test_once_both_agree_the_text_is_fixed_and_goes_on_to_signing(cast, now):
    contract, ana, claire = opened(cast, now)
    agree_both(contract, ana, claire, now)

    with pytest.raises(Conflict, match="Both sides have agreed"):
        drafts.remove_clause(contract, latest(contract).clauses[0]["key"], by=actor(cast.ana), now=now)
    assert contracts.next_step(contract, cast.ana).action in ("prepare", "recipients")
    revisions.make_ready(Contract.get_by_id(contract.id), by=actor(cast.ana), now=now)

    assert Contract.get_by_id(contract.id).state in ("approval", "ready_to_sign")


def test_a_negotiated_text_is_not_sent_before_both_agree(cast, now):
    contract, _ana, claire = opened(cast, now)

    with pytest.raises(Conflict, match="Both sides have to agree"):
        revisions.make_ready(contract, by=actor(cast.ana), now=now)
    proposals.add(contract, claire, clause_place(contract), {"en": "Other words."}, now=now)
    with pytest.raises(Conflict, match="wait for an answer"):
        revisions.make_ready(Contract.get_by_id(contract.id), by=actor(cast.ana), now=now)
    assert Contract.get_by_id(contract.id).state == "negotiation"


def test_agreement_is_on_the_text_that_was_read(cast, now):
    contract, _ana, claire = opened(cast, now)
    old = agreements.text_sha256(contract, latest(contract))
    drafts.remove_clause(contract, latest(contract).clauses[-1]["key"], by=actor(cast.ana), now=now)

    with pytest.raises(Conflict, match="on its way"):
        negotiation.agree(contract, claire, seen_sha256=old, now=now)
    negotiation.share(contract, note="", by=actor(cast.ana), now=now)
    with pytest.raises(Conflict, match="Read it once more"):
        negotiation.agree(contract, claire, seen_sha256=old, now=now)


def test_a_proposal_takes_back_what_was_agreed(cast, now):
    contract, ana, claire = opened(cast, now)
    agree_both(contract, ana, claire, now)

    proposals.add(contract, claire, RESPONSE, {"min": 10, "calendar": "always"}, now=now)

    assert not agreements.both(contract, latest(contract))
    assert Agreement.select().where(Agreement.ended_at.is_null()).count() == 0
    assert acts(contract)[-1] == "contract.agreement_ended"


def test_opening_the_text_again_takes_both_words_back(cast, now):
    contract, ana, claire = opened(cast, now)
    agree_both(contract, ana, claire, now)

    negotiation.open_again(contract, ana, now=now)

    drafts.remove_clause(contract, latest(contract).clauses[0]["key"], by=actor(cast.ana), now=now)
    assert agreements.sides(contract, latest(contract)) == {}


def test_agreeing_twice_is_one_word(cast, now):
    contract, _ana, claire = opened(cast, now)
    sha256 = agreements.text_sha256(contract, latest(contract))

    negotiation.agree(contract, claire, seen_sha256=sha256, now=now)
    negotiation.agree(contract, claire, seen_sha256=sha256, now=now)

    assert Agreement.select().count() == 1


# -- News ---------------------------------------------------------------------------------------------


def test_news_of_a_quarter_of_an_hour_are_one_message_to_the_other_side(cast, now):
    contract, _ana, claire = opened(cast, now)
    Notice.delete().execute()
    proposals.add(contract, claire, RESPONSE, {"min": 10, "calendar": "always"}, now=now)
    comments.add(contract, claire, "", "And one more thing.", now=now)

    jobs.run_due("test", lambda: now + timedelta(minutes=16))

    [mail] = Notice.select().where(Notice.kind == "negotiation_news")
    assert mail.address == cast.ana.email
    text = " ".join(negotiation_news.notices.read(mail)[1].split())
    assert "From Castellan Pharma SA: 1 change proposed, 1 comment." in text
    assert Job.select().where((Job.kind == "tell_negotiation_news") & (Job.status != "done")).count() == 0


def test_an_internal_comment_is_no_news(cast, now):
    contract, ana, _claire = opened(cast, now)
    Notice.delete().execute()
    comments.add(contract, ana, "", "Between us.", internal=True, now=now)

    jobs.run_due("test", lambda: now + timedelta(minutes=16))

    assert Notice.select().where(Notice.kind == "negotiation_news").count() == 0
    assert Negotiator.select().count() == 1


def test_open_proposals_stand_on_the_owners_home_page(cast, now):
    contract, ana, claire = opened(cast, now)
    asked = proposals.add(contract, claire, RESPONSE, {"min": 25, "calendar": "always"}, now=now)
    proposals.add(contract, ana, clause_place(contract), {"fr": "Autres mots."}, now=now)

    [row] = home.proposals_to(cast.ana)
    assert (row.title, row.reference) == ("Castellan Pharma SA: one proposal to answer", contract.reference)
    assert home.proposals_to(cast.ben) == []
    proposals.reject(contract, asked.id, ana, reason="No.", now=now)
    assert home.proposals_to(cast.ana) == []


def test_an_accepted_figure_brings_the_clauses_in_that_depend_on_it(cast, now, monkeypatch):
    contract, ana, claire = opened(cast, now)
    asked = proposals.add(contract, claire, RESPONSE, {"min": 25, "calendar": "always"}, now=now)
    followed = []
    monkeypatch.setattr(
        proposals.conditional, "follow", lambda _contract, _revision, before: followed.append(before) or {}
    )

    proposals.accept(contract, asked.id, ana, now=now)

    assert [each["severities"][0]["response"]["min"] for each in followed] == [30]


def test_our_proposal_shows_nothing_of_an_unshared_draft(cast, now):
    contract, ana, _claire = opened(cast, now)
    place = clause_place(contract)
    clause = drafts.clause(latest(contract), place.removeprefix("clauses."))
    drafts.save_clause(
        contract, clause["key"], heading={}, text={"fr": "Not shown yet."}, level=1, seen=drafts.mark(clause),
        by=actor(cast.ana), now=now,
    )  # fmt: skip

    with pytest.raises(Invalid, match="Share it instead"):
        proposals.add(contract, ana, place, {"fr": "Something else."}, now=now)
    made = proposals.add(contract, ana, RESPONSE, {"min": 25, "calendar": "always"}, now=now)

    assert made.revision == agreements.last_shared(contract)
    assert Proposal.select().where(Proposal.place == place).count() == 0


def test_our_proposal_stands_behind_the_same_rules_as_sharing(cast, now, monkeypatch):
    contract, ana, claire = opened(cast, now)
    monkeypatch.setattr(proposals.approvals, "before_sharing", lambda *_given: "Approval is missing: Legal.")

    with pytest.raises(Invalid, match="Approval is missing"):
        proposals.add(contract, ana, RESPONSE, {"min": 25, "calendar": "always"}, now=now)

    assert (
        proposals.add(contract, claire, RESPONSE, {"min": 25, "calendar": "always"}, now=now).state == "open"
    )


def test_a_clause_taken_out_meanwhile_is_a_conflict_and_not_a_missing_page(cast, now):
    contract, ana, claire = opened(cast, now)
    place = clause_place(contract)
    asked = proposals.add(contract, claire, place, {"fr": "Autres mots."}, now=now)
    gone = proposals.add(contract, claire, place, None, now=now)
    proposals.accept(contract, gone.id, ana, now=now)

    with pytest.raises(Conflict, match="counter-proposal"):
        proposals.accept(contract, asked.id, ana, now=now)
