"""The list, the ways to start, the page of one contract, its files."""

from __future__ import annotations

import io

import pikepdf
import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.services import layouts, revisions, templates
from tests.documents import hostile
from tests.pages.drafting import browser, forms
from tests.services.drafting import actor, draft

NO_BREAK = "\N{NO-BREAK SPACE}"


@pytest.fixture
def ana(app, cast):
    return browser(app, cast.ana)


@pytest.fixture
def ben(app, cast):
    return browser(app, cast.ben)


@pytest.fixture
def cleo(app, cast):
    return browser(app, cast.cleo)


@pytest.fixture
def contract(cast):
    return draft(cast, utc_now())


@pytest.fixture
def eight(cast):
    templates.seed(utc_now())
    return {
        "template": templates.offered()[0].id, "level": "premium", "side": "supplier",
        "party": "Castellan Pharma SA", "signatory": cast.signatory.id, "their_name": "Marc Delorme",
        "their_email": "marc@castellan.example", "product": "Larkfield Quote", "fee": "15,500.00",
        "currency": "EUR", "start": "2027-01-01", "length": "36",
    }  # fmt: skip


def pdf(signed_by: str = "") -> bytes:
    made = hostile.plain("Order form")
    if signed_by:
        value = pikepdf.Dictionary(
            Type=pikepdf.Name.Sig,
            Name=pikepdf.String(signed_by),
            Contents=pikepdf.String("x"),
            ByteRange=pikepdf.Array([0, 1, 2, 3]),
        )
        field = made.make_indirect(
            pikepdf.Dictionary(
                FT=pikepdf.Name.Sig, T=pikepdf.String("S"), V=made.make_indirect(value),
                Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Widget, Rect=pikepdf.Array([0, 0, 0, 0]),
            )
        )  # fmt: skip
        made.pages[0].obj.Annots = pikepdf.Array([field])
        made.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([field]), SigFlags=3)
    return hostile.saved(made)


def text(answer):
    return answer.get_data(as_text=True)


# -- Starting -------------------------------------------------------------------------------------


def test_eight_answers_make_a_draft_that_can_be_sent(ana, eight):
    answer = ana.post("/contracts/new", data=eight)

    assert answer.status_code == 303
    page = text(ana.get(answer.headers["Location"]))
    assert "Nothing is missing" in page
    assert "Answered within 30 minutes, day and night." in page


def test_the_form_asks_for_at_most_eight_things(ana, eight):
    labels = [line for line in text(ana.get("/contracts/new")).split("<") if line[:6] in ("label ", "legend")]

    numbered = [label for label in labels if ">" in label and label.split(">")[1][:1].isdigit()]
    assert len(numbered) == 8


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"template": "x"}, "template"), ({"level": "x"}, "level"), ({"side": ""}, "side"),
        ({"party": " "}, "party"), ({"signatory": "x"}, "signatory"), ({"fee": "-1"}, "fee"),
        ({"fee": "99,999,999"}, "signatory"), ({"their_email": "nobody"}, "their_email"),
        ({"start": "soon"}, "start"), ({"length": "0"}, "length"), ({"currency": "XXX"}, "currency"),
        ({"product": "x" * 300}, "product"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_refused_beside_its_field(ana, eight, wrong, field):
    answer = ana.post("/contracts/new", data=eight | wrong)

    assert answer.status_code == 422
    assert f'id="{field}-reason"' in text(answer)
    assert "Larkfield Quote" in text(answer) or field == "product"
    assert Contract.select().count() == 0


def test_htmx_gets_the_form_and_is_sent_on(ana, eight):
    refused = ana.post("/contracts/new", data=eight | {"fee": ""}, headers={"HX-Request": "true"})
    made = ana.post("/contracts/new", data=eight, headers={"HX-Request": "true"})

    assert text(refused).lstrip().startswith('<form id="new"')
    assert made.status_code == 204
    assert "/draft" in made.headers["HX-Redirect"]


def test_other_ways_lead_to_the_steps_and_to_their_file(ana, eight):
    assert (
        ana.post("/contracts/new", data=eight | {"then": "steps"})
        .headers["Location"]
        .endswith("/draft/stakeholders")
    )
    assert ana.post("/contracts/new", data=eight | {"then": "file"}).headers["Location"].endswith("/file")


def test_a_contract_is_copied_from_the_list(ana, contract):
    page = ana.get("/contracts/new/copy?q=castellan")
    assert f"/contracts/{contract.reference}/copy" in forms(page)

    copied = ana.post(f"/contracts/{contract.reference}/copy")

    assert copied.status_code == 303
    assert Contract.select().count() == 2


# -- A PDF ----------------------------------------------------------------------------------------


@pytest.fixture
def nda(cast):
    return {
        "title": "Non-disclosure agreement", "language": "en", "entity": cast.entity.id, "signatory": "",
        "party": "Castellan Pharma SA", "name_1": "Marc Delorme", "email_1": "marc@castellan.example",
    }  # fmt: skip


def test_file_people_send(ana, nda):
    made = ana.post("/contracts/new/file", data=nda | {"file": (io.BytesIO(pdf()), "nda.pdf")})
    page = ana.get(made.headers["Location"])
    ready = ana.post(made.headers["Location"] + "/ready")

    assert "Check and send" in text(page)
    assert ready.headers["Location"].endswith("/send")
    assert Contract.get().state == "ready_to_sign"


def test_a_signature_in_the_file_is_named_before_it_is_lost_and_the_file_is_kept(ana, nda):
    first = ana.post(
        "/contracts/new/file", data=nda | {"file": (io.BytesIO(pdf("Olga Brand")), "signed.pdf")}
    )

    assert first.status_code == 422
    assert "already signed by Olga Brand" in text(first)
    kept = forms(first)["/contracts/new/file"]
    kept.pop("file")
    assert ana.post("/contracts/new/file", data=kept).status_code == 422
    made = ana.post("/contracts/new/file", data=kept | {"confirm": kept["kept"]})
    assert made.status_code == 303


def test_a_refused_form_keeps_the_file(ana, nda):
    first = ana.post(
        "/contracts/new/file", data=nda | {"email_1": "wrong", "file": (io.BytesIO(pdf()), "nda.pdf")}
    )

    kept = forms(first)["/contracts/new/file"]
    kept.pop("file")
    assert first.status_code == 422
    assert ana.post("/contracts/new/file", data=kept | {"email_1": "m@castellan.example"}).status_code == 303


def test_what_is_no_pdf_is_refused_in_words(ana, nda):
    for content in (b"", b"hello", b"%PDF-1.7 nothing"):
        answer = ana.post("/contracts/new/file", data=nda | {"file": (io.BytesIO(content), "x.pdf")})
        assert answer.status_code == 422
        assert 'id="file-reason"' in text(answer)


def test_their_pdf_with_our_reading_is_called_so(ana, contract):
    url = f"/contracts/{contract.reference}/file"
    answer = ana.post(url, data={"terms": "terms_reading", "file": (io.BytesIO(pdf()), "theirs.pdf")})

    assert answer.status_code == 303
    assert "theirs.pdf" in text(ana.get(url))
    assert "Our reading of what is promised" in text(ana.get(f"/contracts/{contract.reference}"))
    for page in ("draft", "draft/slas", "draft/metrics"):
        assert "Our reading" in text(ana.get(f"/contracts/{contract.reference}/{page}")), page
    assert ana.post(url + "/removal").status_code == 303
    assert ana.post(url, data={"terms": "x", "file": (io.BytesIO(pdf()), "t.pdf")}).status_code == 422


def test_terms_printed_behind_their_pdf_say_who_is_the_supplier(ana, contract):
    url = f"/contracts/{contract.reference}"
    for mode, labels in (
        ("terms_schedule", ["le « Prestataire »", "le « Client »"]),
        ("terms_reading", ["partie", "partie"]),
    ):
        ana.post(f"{url}/file", data={"terms": mode, "file": (io.BytesIO(pdf()), "theirs.pdf")})
        printed = layouts.parties(Contract.get_by_id(contract.id))
        assert [each["role_label"]["fr"].replace(NO_BREAK, " ") for each in printed] == labels
        assert ", customer" in text(ana.get(url))


def test_a_bare_file_asks_for_no_service_levels(ana, nda):
    made = ana.post("/contracts/new/file", data=nda | {"file": (io.BytesIO(pdf()), "nda.pdf")})
    url = made.headers["Location"]

    page = text(ana.get(f"{url}/draft"))
    assert "The file stands alone" in page
    assert "group-who" in page
    assert "group-service" not in page
    assert ana.get(f"{url}/draft/stakeholders").status_code == 200
    assert ana.get(f"{url}/draft/slas").status_code == 404


def test_an_old_link_to_a_fixed_text_leads_to_the_contract(ana, ben, contract):
    url = f"/contracts/{contract.reference}"
    ana.post(f"{url}/ready")

    for page in ("draft", "draft/slas"):
        answer = ana.get(f"{url}/{page}")
        assert answer.status_code == 303
        assert answer.headers["Location"].endswith(url)
    assert ben.get(f"{url}/draft").status_code == 403
    assert ana.post(f"{url}/languages", data={}).status_code == 409


# -- One contract ---------------------------------------------------------------------------------


def test_the_page_says_where_it_stands_and_the_one_next_step(ana, ben, contract):
    mine, his = ana.get(f"/contracts/{contract.reference}"), ben.get(f"/contracts/{contract.reference}")

    assert text(mine).count('class="primary"') == 1
    assert f"/contracts/{contract.reference}/ready" in forms(mine)
    assert 'class="primary"' not in text(his)
    for words in (
        "Castellan Pharma SA",
        "EUR\u00a0558,000.00",
        "Sun 30 Sep 2029",
        "drafted it",
        "Revision 1",
    ):
        assert words in text(mine)


def test_it_is_made_ready_read_and_opened_again(ana, ben, cleo, contract):
    url = f"/contracts/{contract.reference}"
    ana.post(f"{url}/ready")
    document = revisions.shown_document(revisions.current(contract))
    file_url = f"{url}/documents/{document.id}"

    read = ben.get(file_url)
    assert read.data.startswith(b"%PDF-")
    assert read.headers["Content-Disposition"].startswith('inline; filename="LF-')
    assert read.headers["X-Content-Type-Options"] == "nosniff"
    assert read.headers["Content-Security-Policy"].startswith("sandbox")
    assert ben.get(f"{file_url}/pages/1").mimetype == "image/webp"
    assert ben.get(f"{file_url}/pages/99").status_code == 404
    for stranger in (
        cleo.get(file_url),
        cleo.get(f"{file_url}/pages/1"),
        ben.get(f"{url}/documents/nothing"),
    ):
        assert stranger.status_code == 404

    assert ben.post(f"{url}/reopening").status_code == 403
    assert ana.post(f"{url}/reopening").status_code == 303
    assert Contract.get_by_id(contract.id).state == "negotiation"
    assert "Fixed on" in text(ana.get(f"{url}/versions/1"))
    assert ana.get(f"{url}/versions/9").status_code == 404


def test_a_document_of_another_contract_is_not_found_here(ana, cast, contract):
    other = draft(cast, utc_now())
    revisions.freeze(other, by=actor(cast.ana), now=utc_now())
    document = revisions.shown_document(revisions.current(other))

    assert ana.get(f"/contracts/{contract.reference}/documents/{document.id}").status_code == 404


def test_a_draft_with_faults_is_not_made_ready(ana, contract):
    revision = revisions.current(contract)
    revision.terms["product"] = ""
    revision.save()

    answer = ana.post(f"/contracts/{contract.reference}/ready")

    assert answer.status_code == 409
    assert "must be corrected" in text(answer)
    assert "Finish the draft" in text(answer)


def test_withdrawing_and_handing_over(ana, ben, cleo, cast, contract):
    url = f"/contracts/{contract.reference}"
    assert ana.post(f"{url}/withdrawal", data={"reason": ""}).status_code == 422
    assert ben.post(f"{url}/owner", data={"owner": cast.ben.id}).status_code == 403
    assert cleo.post(f"{url}/owner", data={"owner": cast.cleo.id}).status_code == 404
    assert ana.post(f"{url}/owner", data={"owner": cast.cleo.id}).status_code == 422
    assert ana.post(f"{url}/owner", data={"owner": cast.ben.id}).status_code == 303
    assert ana.post(f"{url}/withdrawal", data={"reason": "No"}).status_code in (403, 409)
    assert ben.post(f"{url}/withdrawal", data={"reason": "They chose another"}).status_code == 303
    assert "They chose another" in text(ben.get(url))


# -- The list -------------------------------------------------------------------------------------


def test_the_list_shows_filters_and_searches(ana, ben, contract):
    assert contract.reference in text(ben.get("/contracts"))
    for found in (
        "?q=castel",
        "?state=draft",
        "?side=supplier",
        "?sort=value",
        "?sort=end",
        f"?q={contract.reference}",
    ):
        assert f"/contracts/{contract.reference}" in text(ana.get(f"/contracts{found}"))
    for empty in ("?q=nobody", "?state=signed", "?side=customer", "?owner=x", "?party=x"):
        assert "No contract fits" in text(ana.get(f"/contracts{empty}"))
    fragment = ana.get("/contracts?q=castel", headers={"HX-Request": "true"})
    assert text(fragment).lstrip().startswith('<div id="list"')


def test_an_empty_list_says_what_to_do(ana):
    assert "Eight answers make a standard support contract" in text(ana.get("/contracts"))


def test_strangers_see_nothing_of_contracts(app, cleo, contract):
    for url in ("/contracts", "/contracts/new", "/contracts/new/file", f"/contracts/{contract.reference}"):
        assert cleo.get(url).status_code == 404
    assert app.test_client().get(f"/contracts/{contract.reference}").status_code == 404
    assert app.test_client().get("/contracts").status_code == 303


def test_odd_addresses_never_break(ana, contract):
    for query in (
        "?after=x",
        "?before=%00",
        "?q=%00",
        "?owner=%00",
        "?sort=x&state=y&side=z",
        "?q=" + "a" * 3000,
    ):
        assert ana.get(f"/contracts{query}").status_code == 200
    for url in ("/contracts/%00", "/contracts/LF-2026-9999", "/contracts/" + "x" * 2000):
        assert ana.get(url).status_code == 404
