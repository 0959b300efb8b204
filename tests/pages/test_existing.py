from __future__ import annotations

import io

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.models.existing import ExistingBatch
from portal.services import existing
from tests.cast import sign_in
from tests.services import existing as samples
from tests.services.drafting import actor


@pytest.fixture
def browser(app):
    def browser(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        return client

    return browser


def typed(cast, **changes):
    return {
        "title": "Support for Quote", "product": "", "side": "supplier", "owner": cast.ana.id,
        "party": "Castellan Pharma SA", "signed_on": "2025-12-20", "level": "", "start_on": "2026-01-01",
        "end_on": "2026-12-31", "length_months": "", "renewal": "tacit", "renewal_months": "", "notice": "3",
        "notice_unit": "months", "fee": "900", "fee_period": "month", "currency": "EUR",
        "file": (io.BytesIO(samples.pdf()), "Signed.pdf"), **changes,
    }  # fmt: skip


def files(lines, pack=None):
    content = pack if pack is not None else samples.zip_of({"1.pdf": samples.pdf(1)})
    return {
        "file": (io.BytesIO(samples.csv_of(*lines)), "contracts.csv"),
        "pack": (io.BytesIO(content), "contracts.zip"),
    }


def test_one_contract_is_registered_and_shown_as_what_it_is(browser, cast):
    ana = browser(cast.ana)

    answer = ana.post("/contracts/existing", data=typed(cast))
    page = ana.get(answer.headers["Location"]).text

    assert answer.status_code == 303
    assert "Live, signed elsewhere" in page
    assert "Ana gave us the copy on" in page
    assert "Type in its terms" in page
    assert Contract.get().reference in ana.get("/renewals?days=365").text


def test_wrong_answers_stay_with_their_reasons(browser, cast):
    page = browser(cast.ana).post("/contracts/existing", data=typed(cast, title="", start_on="soon", file=""))

    assert page.status_code == 422
    assert 'value="soon"' in page.text
    assert "Choose the signed PDF." in page.text
    assert not Contract.select().exists()


def test_typed_terms_are_confirmed_by_a_colleague(browser, cast):
    ana, ben = browser(cast.ana), browser(cast.ben)
    url = ana.post("/contracts/existing", data=typed(cast)).headers["Location"]
    contract = Contract.get()
    existing.note_typing(contract, by=actor(cast.ana), now=utc_now())

    assert "terms-confirmation" not in ana.get(url).text
    assert ana.post(f"{url}/terms-confirmation").status_code == 403
    assert "I have compared them: confirm" in ben.get(url).text
    assert ben.post(f"{url}/terms-confirmation").status_code == 303
    assert "confirmed by Ben" in ana.get(url).text
    assert ana.get(f"{url}/draft").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_file_is_checked_then_registered(browser, cast, run_jobs, headers):
    ana = browser(cast.ana)
    url = ana.post("/existing", data=files([samples.line(1), samples.line(2)])).headers["Location"]

    page = ana.get(url).text
    assert "One contract can be registered." in page
    assert "There is no such file in the ZIP." in page
    assert ana.get(f"{url}/wrong.csv").status_code == 200
    started = ana.post(f"{url}/start", headers=headers)
    run_jobs(utc_now())

    assert started.status_code == (200 if headers else 303)
    assert "1 of 1 contracts are registered." in ana.get(url).text
    assert ana.post(f"{url}/start").status_code == 409


def test_files_that_cannot_be_read_are_refused_beside_their_field(browser, cast):
    ana = browser(cast.ana)

    nothing = ana.post("/existing", data={})
    bad = ana.post("/existing", data=files([samples.line(1)], pack=b"not a zip"))

    assert (nothing.status_code, bad.status_code) == (422, 422)
    assert "Choose the ZIP with the PDFs." in nothing.text
    assert "This is not a ZIP file" in bad.text
    assert not ExistingBatch.select().exists()


def test_a_colleague_reads_it_but_does_not_move_it_and_strangers_see_nothing(app, browser, cast):
    url = browser(cast.ana).post("/existing", data=files([samples.line(1)])).headers["Location"]

    assert browser(cast.ben).get(url).status_code == 200
    assert browser(cast.ben).post(f"{url}/start").status_code == 403
    assert browser(cast.ada).get("/existing").status_code == 403
    assert browser(cast.cleo).get(url).status_code == 404
    assert app.test_client().get(url).status_code == 404


def test_a_large_body_is_read_for_signed_in_staff_alone(app, cast, now):
    from portal.app import MAX_BODY_BYTES, most_bytes
    from portal.pages import guards
    from portal.services import sessions

    def most(path, who=None):
        cookie = (
            f"{guards.cookie_name()}={sessions.open_for(who, stage='full', now=utc_now())}" if who else ""
        )
        with app.test_request_context(path, method="POST", headers={"Cookie": cookie}):
            return most_bytes()

    assert most("/existing", cast.ana) > 200 * 1024 * 1024
    assert most("/contracts/existing", cast.ana) == MAX_BODY_BYTES
    assert most("/existing") == most("/existing", cast.cleo) == MAX_BODY_BYTES


def test_the_example_has_its_columns_in_the_reader_s_language(browser, cast):
    ana = browser(cast.ana)

    assert "Other company" in ana.get("/existing/columns.csv").text
    ana.set_cookie("language", "fr")
    assert "Autre société" in ana.get("/existing/columns.csv").text
