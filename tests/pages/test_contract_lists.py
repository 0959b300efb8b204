from __future__ import annotations

import csv
import io
import re
import zipfile

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract
from portal.models.views import SavedView
from tests.cast import person, sign_in
from tests.services import signing
from tests.services.drafting import draft


@pytest.fixture
def browser(app):
    def open_for(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        return client

    return open_for


@pytest.fixture
def ana(browser, cast):
    return browser(cast.ana)


@pytest.fixture
def contracts(app, cast):
    first = draft(cast, utc_now())
    second = draft(cast, utc_now())
    Contract.update(title="=cmd|' /C calc'!A0").where(Contract.id == second.id).execute()
    return [first.reference, second.reference]


def rows(answer, delimiter=","):
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig")), delimiter=delimiter))


def test_the_list_is_taken_as_csv_with_its_filters(ana, contracts):
    answer = ana.get("/contracts/export/csv?state=draft")

    table = rows(answer)
    assert {row[0] for row in table[1:]} == set(contracts)
    assert next(row for row in table if row[0] == contracts[1])[1].startswith("'=cmd")
    assert table[0][:3] == ["Reference", "Title", "Company"]
    assert "attachment" in answer.headers["Content-Disposition"]
    assert len(rows(ana.get("/contracts/export/csv?state=live"))) == 1


def test_in_french_heads_and_amounts_are_french(ana, contracts):
    ana.set_cookie("language", "fr")
    table = rows(ana.get("/contracts/export/csv"), ";")

    assert table[0][0] == "Référence"
    assert re.fullmatch(r"\d+,\d\d", table[1][7])


def test_ticked_rows_alone_are_taken_as_a_workbook(ana, contracts):
    answer = ana.post("/contracts/selected/xlsx", data={"row": [contracts[1], "LF-0000-0"]})

    with zipfile.ZipFile(io.BytesIO(answer.data)) as file:
        sheet = file.read("xl/worksheets/sheet1.xml").decode()
    assert contracts[1] in sheet
    assert contracts[0] not in sheet
    assert "<f>" not in sheet


@pytest.mark.parametrize("path", ["/contracts/selected/csv", "/contracts/selected/reminders"])
def test_nothing_ticked_is_said_so(ana, contracts, path):
    answer = ana.post(path)

    assert answer.status_code == 422
    assert "Tick at least one contract" in answer.text


def test_reminding_ticked_rows_reminds_who_is_asked_and_says_what_it_left(ana, cast, contracts, run_jobs):
    now = utc_now()
    envelope = signing.send(cast, now)
    run_jobs(now)
    reference = Contract.get_by_id(envelope.contract.id).reference

    answer = ana.post("/contracts/selected/reminders", data={"row": [reference, contracts[0]]})

    assert answer.status_code == 200
    assert "reminded" in answer.text
    assert "Nobody is asked to sign it at the moment." in answer.text


def test_a_colleagues_contract_is_left_alone(browser, cast, contracts):
    answer = browser(cast.ben).post("/contracts/selected/reminders", data={"row": contracts})

    assert answer.text.count("It belongs to a colleague.") == 2


def test_a_view_is_kept_found_shared_and_removed(ana, browser, cast, contracts):
    assert "Keep this view" in ana.get("/contracts/views?state=draft&q=lark").text
    kept = ana.post("/contracts/views", data={"view_name": "My drafts", "state": "draft", "q": "lark"})

    assert kept.headers["Location"] == "/contracts?q=lark&state=draft"
    assert "My drafts" in ana.get("/contracts").text
    ben = browser(cast.ben)
    assert "My drafts" not in ben.get("/contracts").text
    view = SavedView.get()
    assert ben.post(f"/contracts/views/{view.id}/removal").status_code == 404
    assert ben.post(f"/contracts/views/{view.id}/sharing", data={"on": "yes"}).status_code == 404
    ana.post(f"/contracts/views/{view.id}/sharing", data={"on": "yes"})
    assert "My drafts" in ben.get("/contracts").text
    assert ben.post(f"/contracts/views/{view.id}/removal").status_code == 404
    ana.post(f"/contracts/views/{view.id}/removal")
    assert SavedView.select().count() == 0


@pytest.mark.parametrize(
    "typed", [{"view_name": "", "state": "draft"}, {"view_name": "All"}, {"view_name": "x" * 80}]
)
def test_a_view_without_name_or_filter_is_refused(ana, typed):
    answer = ana.post("/contracts/views", data=typed)

    assert answer.status_code == 422
    assert SavedView.select().count() == 0


def test_the_same_name_again_replaces_the_view(ana):
    for state in ("draft", "live"):
        ana.post("/contracts/views", data={"view_name": "Mine", "state": state})

    assert [each.asked for each in SavedView.select()] == [{"state": "live"}]


def test_the_calendar_is_made_read_and_ended(ana, app, contracts):
    page = ana.post("/account/calendar", data={"shows": "all"})

    address = re.search(r"http://[^<\s]+/calendar/[\w-]+", page.text)[0]
    path = "/calendar/" + address.rsplit("/", 1)[1]
    stranger = app.test_client()
    answer = stranger.get(path)
    assert answer.content_type == "text/calendar; charset=utf-8"
    assert answer.data.startswith(b"BEGIN:VCALENDAR")
    assert path not in ana.get("/account/calendar").text
    ana.post("/account/calendar/end")
    assert stranger.get(path).status_code == 404


def test_people_without_a_contract_right_get_nothing(browser, cast, contracts):
    for who in (cast.cleo, person("Olga", utc_now())):
        client = browser(who)
        for path in ("/contracts/export/csv", "/contracts/views", "/account/calendar"):
            assert client.get(path).status_code in (303, 403, 404)
        assert client.post("/contracts/selected/csv", data={"row": contracts}).status_code in (303, 403, 404)
