"""The negotiation of both sides: shared, proposed, answered, agreed; hidden from everybody else."""

from __future__ import annotations

import re

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.models.negotiation import Comment, Proposal
from portal.models.notices import Notice
from portal.services import agreements, negotiation, notices
from tests.pages.drafting import browser, forms
from tests.services.drafting import actor, draft
from tests.services.talks import invite

RESPONSE = "terms.severities.S1.response"


@pytest.fixture
def ana(app, cast):
    return browser(app, cast.ana)


@pytest.fixture
def contract(cast):
    made = draft(cast, utc_now())
    invite(made, cast, utc_now())
    return made


@pytest.fixture
def claire(app, cast, contract):
    """Claire's browser, come in by the mailed link after the text was shared."""
    negotiation.share(contract, note="Bonjour", by=actor(cast.ana), now=utc_now())
    client = app.test_client()
    client.set_cookie("language", "en")
    token = mailed_token()
    page = client.get(f"/negotiate/{token}")
    assert page.status_code == 200
    entered = client.post(f"/negotiate/{token}", data=forms(page)[f"/negotiate/{token}"])
    assert entered.headers["Location"].endswith(their_url(contract))
    return client


def mailed_token() -> str:
    text = notices.read(Notice.select().order_by(Notice.id.desc()).get())[0]
    return re.search(r"/negotiate/(\S+)", text)[1]


def our_url(contract, rest=""):
    return f"/contracts/{contract.reference}/negotiation{rest}"


def their_url(contract, rest=""):
    return f"/negotiations/{contract.reference}{rest}"


def place_of(contract):
    return f"clauses.{agreements.latest(contract).clauses[1]['key']}"


def csrf(page):
    return re.search(r'name="csrf_token" value="([^"]*)"', page.text)[1]


def post(client, url, page_url, **data):
    return client.post(url, data={"csrf_token": csrf(client.get(page_url)), **data})


def test_ana_invites_shares_and_sees_where_it_stands(ana, cast):
    contract = draft(cast, utc_now())
    page = our_url(contract)

    invited = post(
        ana,
        our_url(contract, "/people"),
        page,
        name="Claire",
        email="claire@castellan.example",
        language="fr",
    )
    shared = post(ana, our_url(contract, "/sharing"), page, note="Bonjour")

    assert (invited.status_code, shared.status_code) == (303, 303)
    text = ana.get(page).text
    assert "Castellan Pharma SA has this revision." in text
    assert "claire@castellan.example" in text
    assert "Waiting for Castellan Pharma SA" in ana.get(f"/contracts/{contract.reference}").text


def test_what_stands_in_the_way_of_sharing_is_said_on_the_page(ana, cast):
    contract = draft(cast, utc_now())

    answer = post(ana, our_url(contract, "/sharing"), our_url(contract), note="A word")

    assert answer.status_code == 409
    assert "Invite somebody of the other side first." in answer.text
    assert "A word" in answer.text


def test_a_link_shows_nothing_before_a_button_is_pressed(app, cast, contract):
    negotiation.share(contract, note="", by=actor(cast.ana), now=utc_now())
    client = app.test_client()

    page = client.get(f"/negotiate/{mailed_token()}")

    assert page.status_code == 200
    assert "Set-Cookie" not in page.headers or "countersign-signing" not in page.headers["Set-Cookie"]
    assert client.get(their_url(contract)).headers["Location"].endswith("/mine")
    assert client.get("/negotiate/something-else").status_code == 410


def test_claire_reads_the_shared_text_in_her_place(claire, contract):
    page = claire.get(their_url(contract))

    assert page.status_code == 200
    assert "You read as Claire Aubert." in page.text
    assert "S1" in page.text
    assert "For us only" not in page.text


def test_a_proposal_goes_there_and_back_until_both_agree(ana, claire, contract):
    ours, theirs = our_url(contract), their_url(contract)

    asked = post(claire, f"{theirs}/proposals", theirs, place=RESPONSE, after="15 minutes", note="Two shops")
    assert asked.status_code == 303, asked.text
    said = ana.get(ours).text
    assert "1 proposal waits for your answer" in said
    assert re.search(r"<del>30 minutes[^<]*</del> <ins>15 minutes[^<]*</ins>", said)

    [row] = Proposal.select()
    countered = post(ana, f"{ours}/proposals", ours, place=RESPONSE, after="20 min", answers=row.id)
    assert countered.status_code == 303
    answer = Proposal.get(Proposal.answers_id == row.id)
    assert post(claire, f"{theirs}/proposals/{answer.id}/acceptance", theirs).status_code == 303
    assert "is working on the next revision" in claire.get(theirs).text
    assert post(ana, f"{ours}/sharing", ours, note="").status_code == 303
    assert "20 minutes" in claire.get(f"{theirs}/redline").text

    seen = agreements.text_sha256(contract, agreements.latest(contract))
    assert post(claire, f"{theirs}/agreement", theirs, seen=seen).status_code == 303
    assert post(ana, f"{ours}/agreement", ours, seen=seen).status_code == 303
    assert "Both sides agree to this text." in claire.get(theirs).text
    assert "Nothing is left to show" in ana.get(ours).text or "nothing is left to show" in ana.get(ours).text


def test_a_clause_is_proposed_with_its_words_kept_when_refused(claire, contract):
    theirs, place = their_url(contract), place_of(contract)
    page = f"{theirs}?open={place}"

    wrong = post(
        claire, f"{theirs}/proposals", page, place=place, **{"after.fr": "We pay {{nothing}} in 60 days."}
    )
    right = post(claire, f"{theirs}/proposals", page, place=place, **{"after.fr": "We pay in 60 days."})

    assert wrong.status_code == 422
    assert "We pay {{nothing}} in 60 days." in wrong.text
    assert "There is no variable called" in wrong.text
    assert right.status_code == 303
    assert "<ins>" in claire.get(theirs).text


def test_a_wrong_figure_is_refused_beside_its_field(claire, contract):
    theirs = their_url(contract)

    answer = post(claire, f"{theirs}/proposals", theirs, place=RESPONSE, after="soon")

    assert answer.status_code == 422
    assert 'value="soon"' in answer.text
    assert "Write a time and its hours" in answer.text


def test_a_rejection_needs_a_reason_that_the_other_side_reads(ana, claire, contract):
    ours, theirs = our_url(contract), their_url(contract)
    post(claire, f"{theirs}/proposals", theirs, place=place_of(contract), **{"after.fr": "Free of charge."})
    [row] = Proposal.select()

    without = post(ana, f"{ours}/proposals/{row.id}/rejection", ours, reason="")
    rejected = post(ana, f"{ours}/proposals/{row.id}/rejection", ours, reason="It is not free.")

    assert (without.status_code, rejected.status_code) == (422, 303)
    assert "It is not free." in claire.get(theirs).text


def test_internal_comments_stay_inside(ana, claire, contract):
    ours, theirs = our_url(contract), their_url(contract)
    post(ana, f"{ours}/comments", ours, place="", text="We would go to 15 minutes.")
    post(ana, f"{ours}/comments", ours, place="", text="See clause 2.", for_both="yes")

    assert [each.is_internal for each in Comment.select().order_by(Comment.id)] == [True, False]
    assert "We would go to 15 minutes." in ana.get(ours).text
    text = claire.get(theirs).text
    assert "See clause 2." in text
    assert "We would go to 15 minutes." not in text


def test_strangers_and_other_contracts_find_nothing(app, claire, contract, cast):
    other = draft(cast, utc_now(), their_email="marc@castellan.example")
    invite_url = their_url(other)
    stranger = app.test_client()

    assert claire.get(invite_url).status_code == 404
    for path in ("/proposals", "/comments", "/agreement", "/proposals/x/acceptance"):
        assert stranger.post(their_url(contract, path)).status_code in (400, 404)
    assert browser(app, cast.cleo).get(their_url(contract)).status_code == 404
    assert browser(app, cast.cleo).get(our_url(contract)).status_code in (403, 404)


def test_an_ended_invitation_closes_the_page(ana, claire, contract):
    [row] = negotiation.invited(contract)

    post(ana, our_url(contract, f"/people/{row.id}/end"), our_url(contract))

    assert claire.get(their_url(contract)).status_code == 404


def test_ben_may_read_and_comment_and_nothing_more(app, cast, claire, contract):
    ben = browser(app, cast.ben)
    ours = our_url(contract)

    assert ben.get(ours).status_code == 200
    assert post(ben, f"{ours}/comments", ours, place="", text="From the side.").status_code == 303
    assert post(ben, f"{ours}/proposals", ours, place=RESPONSE, after="15 min").status_code == 403
    assert Contract.get_by_id(contract.id).state == "negotiation"


def test_a_redline_is_a_page_a_pdf_and_a_word_file(ana, cast, contract):
    from portal.documents import word_read
    from portal.services import drafts

    key = agreements.latest(contract).clauses[1]["key"]
    clause = drafts.clause(agreements.latest(contract), key)
    drafts.save_clause(
        contract, key, heading={}, text={"fr": clause["text"]["fr"] + "\n\nAnd one more thing."}, level=1,
        seen=drafts.mark(clause), by=actor(cast.ana), now=utc_now(),
    )  # fmt: skip
    url = f"/contracts/{contract.reference}/redline"

    page, pdf, docx = ana.get(url), ana.get(f"{url}.pdf"), ana.get(f"{url}.docx")

    assert "And one more thing." in re.search(r"<ins>(.*?)</ins>", page.text, re.S)[1]
    assert pdf.data.startswith(b"%PDF-")
    changes = [each for row in word_read.rows(docx.data) for each in row.changes]
    assert [each.text for each in changes] == ["And one more thing."]
    assert ana.get(f"{url}?old=7&new=1").status_code == 404


def test_the_other_side_compares_only_what_it_was_shown(ana, claire, contract):
    url = their_url(contract, "/redline")

    assert claire.get(url).status_code == 200
    assert claire.get(f"{url}?old=0&new=1").status_code == 404
    assert claire.get(f"{url}.docx?old=0&new=1").status_code == 404


def test_invited_people_find_the_text_under_their_address(claire, contract):
    text = claire.get("/mine").text

    assert their_url(contract) in text
    assert "Being negotiated" in text


def send_file(client, url, page_url, content, name):
    from io import BytesIO

    data = {"csrf_token": csrf(client.get(page_url)), "file": (BytesIO(content), name)}
    return client.post(url, data=data, content_type="multipart/form-data")


def test_a_word_file_goes_out_and_comes_back_as_proposals(ana, claire, contract):
    from portal.models.negotiation import Proposal
    from tests.services.test_word_forms import Edited

    theirs, ours = their_url(contract), our_url(contract)
    file = Edited(claire.get(f"{theirs}/text.docx").data)
    file.write("terms.severities.S1.response", "15 minutes")
    file.write("fixed.note", "Subject to our board.")

    answer = send_file(claire, f"{theirs}/file", theirs, file.saved(), "back.docx")

    assert answer.status_code == 303
    assert {each.kind for each in Proposal.select()} == {"term", "unassigned"}
    page = ana.get(ours).text
    assert "From a Word file, without a place" in page
    assert "Subject to our board." in page
    assert "Subject to our board." not in claire.get(theirs).text


def test_a_pdf_that_comes_back_is_compared_for_somebody_to_read(ana, claire, contract):
    from portal.documents import demonstration

    pdf = demonstration.sample_pdf("K7QM", "en")

    answer = send_file(ana, our_url(contract, "/file"), our_url(contract), pdf, "theirs.pdf")

    assert answer.status_code == 200
    assert "K7QM" in re.search(r"<ins>(.*?)</ins>", answer.text, re.S)[1]
    assert Proposal.select().count() == 0


@pytest.mark.parametrize(("content", "name"), [(b"", ""), (b"nothing", "x.docx"), (b"%PDF-1.7 x", "x.pdf")])
def test_a_file_that_cannot_be_read_is_refused_beside_the_field(ana, claire, contract, content, name):
    answer = send_file(ana, our_url(contract, "/file"), our_url(contract), content, name)

    assert answer.status_code == 422
    assert 'id="file-reason"' in answer.text


def test_a_figure_in_prose_that_no_term_holds_is_marked(ana, claire, contract):
    theirs = their_url(contract)

    post(
        claire,
        f"{theirs}/proposals",
        theirs,
        place=place_of(contract),
        **{"after.fr": "Réponse en 77 minutes."},
    )

    assert "No figure above says 77 minutes." in ana.get(our_url(contract)).text
