from __future__ import annotations

import io

import pytest

from portal.clock import utc_now
from portal.models.bulk import BulkBatch, BulkRow
from portal.models.people import Session
from portal.services import bulk, connections, documents, policies, templates
from tests.cast import sign_in
from tests.services import pigeon
from tests.services.bulk import Clock, file, line, work
from tests.services.signing import actor, printed


@pytest.fixture
def browse(app, cast):
    """A browser for somebody of the cast; Ana has just proved a code."""
    templates.seed(utc_now())
    policies.seed(utc_now())

    def browser(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        Session.update(stepped_up_at=utc_now()).where(Session.person == cast.ana).execute()
        return client

    return browser


def form(cast, content, **changes):
    return {
        "template": templates.offered()[0].id, "signatory": cast.signatory.id, "side": "supplier",
        "life_days": "30", "pace": "6000", "file": (io.BytesIO(content), "people.csv"), **changes,
    }  # fmt: skip


def uploaded(client, cast, content, **changes):
    answer = client.post("/bulk/new", data=form(cast, content, **changes))
    assert answer.status_code == 303, answer.text
    return bulk.get(answer.headers["Location"].rpartition("/")[2])


def test_a_file_is_uploaded_checked_and_sent(browse, cast, home, monkeypatch):
    ana = browse(cast.ana)
    assert ana.get("/bulk/new").status_code == 200
    batch = uploaded(ana, cast, file([line(1), line(2), line(3, email="nobody")]))

    page = ana.get(f"/bulk/{batch.id}")
    assert "2 rows are right and can be sent." in page.text
    assert "Mail address: This is not a mail address." in page.text
    assert "hx-trigger" not in page.text
    last = ana.get(f"/bulk/{batch.id}/send")
    assert "EUR\xa021,600.00" in last.text
    refused = ana.post(f"/bulk/{batch.id}/send", data={})
    assert refused.status_code == 409
    assert "One row is wrong." in refused.text
    answer = ana.post(f"/bulk/{batch.id}/send", data={"leave_out": "yes"})
    assert answer.status_code == 303

    moving = ana.get(f"/bulk/{batch.id}")
    assert 'hx-trigger="load delay:2s"' in moving.text
    assert f'<noscript><p class="small above"><a href="/bulk/{batch.id}' in moving.text
    fragment = ana.get(f"/bulk/{batch.id}", headers={"HX-Request": "true"})
    assert fragment.text.lstrip().startswith('<div id="state"')
    monkeypatch.setattr(documents, "put_pages", lambda pdf: [])  # costly, and told elsewhere
    work(Clock(utc_now()), bulk.get(batch.id))
    ended = ana.get(f"/bulk/{batch.id}")
    assert "2 of 2 rows have had their turn: 2 sent" in ended.text
    assert "hx-trigger" not in ended.text
    assert "<noscript>" not in ended.text
    assert f"/contracts/{BulkRow.get(BulkRow.number == 2).contract.reference}" in ended.text
    assert "people.csv" in ana.get("/bulk").text
    results = ana.get(f"/bulk/{batch.id}/results.csv").text
    assert results.count("With the people asked") == 2


def test_a_batch_goes_through_what_its_template_says(browse, cast, monkeypatch):
    pigeon.install(monkeypatch, pigeon.Loft())
    account = pigeon.connected("Pigeon EU", utc_now())
    ana, template = browse(cast.ana), templates.offered()[0].template
    assert 'value="usual" selected' in ana.get("/bulk/new").text
    connections.make_default(account, by=actor(cast.ada), now=utc_now())

    assert uploaded(ana, cast, file([line(1)]), connection="usual").connection == account
    templates.choose_account(template, None, is_signed_here=True, by=actor(cast.ada), now=utc_now())
    assert uploaded(ana, cast, file([line(2)]), connection="usual").connection is None
    assert uploaded(ana, cast, file([line(3)]), connection=account.id).connection == account


def test_sending_many_asks_for_a_fresh_code(browse, cast):
    ana = browse(cast.ana)
    batch = uploaded(ana, cast, file([line(1)]))
    Session.update(stepped_up_at=None).execute()

    answer = ana.post(f"/bulk/{batch.id}/send", data={})

    assert answer.headers["Location"].startswith("/step-up?next=")
    assert bulk.get(batch.id).state == "checked"


def test_a_refused_form_keeps_what_was_typed_and_says_why(browse, cast):
    ana = browse(cast.ana)

    answer = ana.post("/bulk/new", data=form(cast, b"", message="Dear all", pace="0", life_days="400"))
    no_file = ana.post("/bulk/new", data={**form(cast, b""), "file": (io.BytesIO(b""), "")})
    bad_file = ana.post("/bulk/new", data=form(cast, b"Company\nA"))

    assert answer.status_code == no_file.status_code == bad_file.status_code == 422
    assert "Dear all" in answer.text
    assert "from 1 to 364" in answer.text
    assert "Choose a CSV file." in no_file.text
    assert "These columns are missing" in bad_file.text
    assert BulkBatch.select().count() == 0


def test_columns_are_offered_in_the_readers_language(browse, cast):
    ana = browse(cast.ana)

    english = ana.get("/bulk/columns.csv").data.decode("utf-8-sig")
    french = ana.get("/bulk/columns.csv", headers={"Cookie": ""}, query_string={"kind": "document"})

    assert english.startswith("Company,Country,Signer,Mail address")
    assert "'+33 6 12 34 56 38" in english
    assert french.status_code == 200


def test_ben_looks_and_cleo_finds_nothing(browse, cast):
    ana, ben, cleo = browse(cast.ana), browse(cast.ben), browse(cast.cleo)
    batch = uploaded(ana, cast, file([line(1)]))

    seen = ben.get(f"/bulk/{batch.id}")
    assert seen.status_code == 200
    assert "Look once more and send" not in seen.text
    assert ben.post(f"/bulk/{batch.id}/removal").status_code == 403
    for path in ("", f"/{batch.id}", f"/{batch.id}/results.csv", "/new"):
        assert cleo.get(f"/bulk{path}").status_code == 404
    assert browse(cast.ada).get("/bulk").status_code == 403
    assert bulk.get(batch.id).state == "checked"


def test_pause_go_on_and_cancel_answer_with_the_fresh_part(browse, cast):
    ana = browse(cast.ana)
    batch = uploaded(ana, cast, file([line(1), line(2)]))
    ana.post(f"/bulk/{batch.id}/send")
    scripted = {"HX-Request": "true"}

    paused = ana.post(f"/bulk/{batch.id}/pause", headers=scripted)
    again = ana.post(f"/bulk/{batch.id}/pause", headers=scripted)
    plain = ana.post(f"/bulk/{batch.id}/resumption")
    pace = ana.post(f"/bulk/{batch.id}/pace", data={"pace": "many"})
    cancelled = ana.post(f"/bulk/{batch.id}/cancellation", headers=scripted)

    assert paused.status_code == 200
    assert "Paused: no further row is begun." in paused.text
    assert "hx-trigger" not in paused.text
    assert again.status_code == 409
    assert plain.status_code == 303
    assert pace.status_code == 422
    assert "The rest is cancelled." in cancelled.text
    assert bulk.counts(bulk.get(batch.id)).cancelled == 2


def test_wrong_rows_come_back_as_a_file_and_go_in_again_once_mended(browse, cast):
    ana = browse(cast.ana)
    batch = uploaded(ana, cast, file([line(1, name="=HYPERLINK(1)", email="nobody")]))

    written = ana.get(f"/bulk/{batch.id}/wrong.csv").data
    mended = written.replace(b"nobody", b"somebody@c.example")
    second = uploaded(ana, cast, mended)

    assert b"'=HYPERLINK(1)" in written
    assert bulk.counts(second).right == 1
    assert BulkRow.get(BulkRow.batch == second).name == "=HYPERLINK(1)"
    assert ana.get(f"/bulk/new?like={batch.id}").status_code == 200
    assert ana.post(f"/bulk/{batch.id}/removal").status_code == 303
    assert ana.get(f"/bulk/{batch.id}").status_code == 404


def test_the_same_file_twice_is_noticed(browse, cast):
    ana = browse(cast.ana)
    first = uploaded(ana, cast, file([line(1)]))
    ana.post(f"/bulk/{first.id}/send")

    second = uploaded(ana, cast, file([line(1)]))

    assert "This very file was sent already" in ana.get(f"/bulk/{second.id}").text


def test_one_pdf_for_everyone_is_looked_at_before_it_goes(browse, cast):
    ana = browse(cast.ana)
    people = file(["A SA,Anna,anna@a.example"], "Company,Signer,Email")
    given = {
        "entity": cast.entity.id, "title": "Code of conduct", "language": "en", "life_days": "30",
        "pace": "60", "document": (io.BytesIO(printed().pdf), "code.pdf"),
    }  # fmt: skip

    no_people = ana.post("/bulk/new/document", data=given)
    kept = no_people.text.split('name="kept" value="')[1].split('"')[0]
    answer = ana.post(
        "/bulk/new/document",
        data={**given, "document": (io.BytesIO(b""), ""), "kept": kept,
              "file": (io.BytesIO(people), "people.csv")},
    )  # fmt: skip

    assert no_people.status_code == 422
    assert answer.status_code == 303, answer.text
    page = ana.get(answer.headers["Location"] + "/send")
    assert "The PDF they are shown" in page.text
    shown = ana.get(answer.headers["Location"] + "/document.pdf")
    assert shown.data.startswith(b"%PDF")
