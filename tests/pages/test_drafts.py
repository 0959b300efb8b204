"""The draft pages: every section opens, saves what it shows, and refuses beside the field."""

from __future__ import annotations

import pytest

from portal.clock import utc_now
from portal.pages.section_fields import SECTIONS, STEPS
from portal.services import drafts, revisions
from tests.pages.drafting import browser, forms
from tests.services.drafting import actor, draft


@pytest.fixture
def ana(app, cast):
    return browser(app, cast.ana)


@pytest.fixture
def contract(cast):
    return draft(cast, utc_now())


def terms(contract):
    return revisions.current(contract).terms


def address(contract, rest=""):
    return f"/contracts/{contract.reference}/draft{rest}"


def section_url(contract, section):
    return f"/contracts/{contract.reference}/sections/{section}"


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_saved_as_it_is_shown_changes_nothing(ana, contract, section, language):
    ana.set_cookie("language", language)
    before = terms(contract)

    form = forms(ana.get(address(contract, f"?open={section}")))[section_url(contract, section)]
    answer = ana.post(section_url(contract, section), data=form)

    assert answer.status_code == 303
    assert terms(contract) == before


@pytest.mark.parametrize("step", STEPS)
def test_a_step_saved_as_it_is_shown_changes_nothing_and_leads_on(ana, contract, step):
    before = terms(contract)

    form = forms(ana.get(address(contract, f"/{step}")))[address(contract, f"/{step}")]
    answer = ana.post(address(contract, f"/{step}"), data=form)

    assert answer.status_code == 303
    assert terms(contract) == before
    names = [*STEPS, ""]
    following = names[names.index(step) + 1]
    assert answer.headers["Location"].endswith(f"/draft/{following}" if following else "/draft")


def test_save_and_leave_keeps_the_step(ana, contract):
    form = forms(ana.get(address(contract, "/metrics")))[address(contract, "/metrics")]

    answer = ana.post(address(contract, "/metrics/leaving"), data=form | {"commercial.fee": "9,000.00"})

    assert answer.headers["Location"].endswith(contract.reference)
    assert terms(contract)["commercial"]["fee"] == "9000.00"


def test_the_page_speaks_in_sentences_and_marks_what_differs(ana, contract):
    form = forms(ana.get(address(contract, "?open=severities")))[section_url(contract, "severities")]

    ana.post(section_url(contract, "severities"), data=form | {"severities.S2.response": "2"})

    page = ana.get(address(contract)).get_data(as_text=True)
    assert "Answered within 2 hours (Sales-critical hours)" in page
    assert "Differs from the template" in page
    assert "Answered within 1 hour (Sales-critical hours)" in page


def test_a_broken_rule_is_saved_and_said_beside_its_field(ana, contract):
    form = forms(ana.get(address(contract, "?open=severities")))[section_url(contract, "severities")]

    answer = ana.post(
        section_url(contract, "severities"),
        data=form | {"severities.S2.resolution": "1", "severities.S2.resolution.unit": "minutes"},
    )
    page = ana.get(answer.headers["Location"]).get_data(as_text=True)

    assert "open=severities" in answer.headers["Location"]
    assert 'id="severities.S2.resolution-reason"' in page
    assert 'href="#severities.S2.resolution"' in page


@pytest.mark.parametrize(
    ("section", "typed", "field"),
    [
        ("severities", {"severities.S1.response": "soon"}, "severities.S1.response"),
        ("severities", {"severities.S1.response.unit": "fortnights"}, "severities.S1.response"),
        ("calendars", {"calendars.business.weekly.mon": "nine to five"}, "calendars.business.weekly.mon"),
        ("calendars", {"calendars.business.overrides": "some day | closed"}, "calendars.business.overrides"),
        ("calendars", {"tz": "Mars/Olympus"}, "tz"),
        ("uptime", {"uptime.target_pct": "101"}, "uptime.target_pct"),
        ("money", {"commercial.fee": "a lot"}, "commercial.fee"),
        ("money", {"commercial.currency": "XYZ"}, "commercial.currency"),
        ("dates", {"commercial.start_on": "2027-02-30"}, "commercial.start_on"),
        ("escalation", {"escalation.support-lead.after.kind": "someday"}, "escalation.support-lead.after"),
        ("liability", {"commercial.liability_cap.kind": "fee_months", "commercial.liability_cap": "-3"},
         "commercial.liability_cap"),
        ("scope", {"level": "très haut"}, "level"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_beside_the_field_and_kept(ana, contract, section, typed, field):
    before = terms(contract)
    form = forms(ana.get(address(contract, f"?open={section}")))[section_url(contract, section)]

    answer = ana.post(section_url(contract, section), data=form | typed)

    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert f'id="{field}-reason"' in page
    name, last = list(typed.items())[-1]
    assert last in page or name.endswith((".unit", ".kind"))  # a select offers only what there is
    assert terms(contract) == before


def test_the_second_editor_keeps_their_words_and_sees_the_others(app, ana, cast, contract):
    form = forms(ana.get(address(contract, "?open=money")))[section_url(contract, "money")]
    value = drafts.section_of(terms(contract), "money")
    drafts.save_terms(
        contract, "money", {**value, "commercial.fee": "7777.00"}, seen=drafts.mark(value),
        by=actor(cast.ben), now=utc_now(),
    )  # fmt: skip

    refused = ana.post(section_url(contract, "money"), data=form | {"commercial.fee": "8,888.00"})

    page = refused.get_data(as_text=True)
    assert refused.status_code == 422
    assert "Ben has changed this section" in page
    assert "7,777.00" in page
    assert "8,888.00" in page
    again = forms(refused)[section_url(contract, "money")]
    assert ana.post(section_url(contract, "money"), data=again).status_code == 303
    assert terms(contract)["commercial"]["fee"] == "8888.00"


def test_rows_come_and_go_without_script_and_nothing_typed_is_lost(ana, contract):
    url = section_url(contract, "uptime")
    form = forms(ana.get(address(contract, "?open=uptime")))[url] | {"uptime.min_outage_s": "77"}

    added = ana.post(f"{url}/rows/uptime.tiers", data=form)
    more = forms(added)[url]
    assert added.status_code == 200
    assert more["uptime.min_outage_s"] == "77"
    assert more["rows:uptime.tiers"] == "tier-1 tier-2 tier-3 tier-4"
    fewer = forms(ana.post(f"{url}/rows/uptime.tiers/tier-2/removal", data=more))[url]
    assert fewer["rows:uptime.tiers"] == "tier-1 tier-3 tier-4"

    ana.post(url, data=fewer | {"uptime.tiers.tier-4.below": "95", "uptime.tiers.tier-4.credit_pct": "30"})

    tiers = terms(contract)["uptime"]["tiers"]
    assert [(row["key"], row["below"]) for row in tiers] == [
        ("tier-1", "99.9"),
        ("tier-3", "99"),
        ("tier-4", "95"),
    ]
    assert ana.post(f"{url}/rows/nothing", data=form).status_code == 404


def test_a_new_severity_and_an_emptied_uptime(ana, contract):
    url = section_url(contract, "severities")
    form = forms(
        ana.post(f"{url}/rows/severities", data=forms(ana.get(address(contract, "?open=severities")))[url])
    )[url]
    typed = {
        "severities.S5.label.fr": "Idée", "severities.S5.description.fr": "Un souhait",
        "severities.S5.response": "5", "severities.S5.response.unit": "service_days",
        "severities.S5.response.calendar": "business",
    }  # fmt: skip
    assert ana.post(url, data=form | typed).status_code == 303
    assert terms(contract)["severities"][-1]["response"] == {"service_days": 5, "calendar": "business"}

    url = section_url(contract, "uptime")
    form = forms(ana.get(address(contract, "?open=uptime")))[url]
    form.pop("uptime.on")
    ana.post(url, data=form)
    assert terms(contract)["uptime"] is None


def test_public_holidays_fill_a_calendar(ana, contract):
    url = section_url(contract, "calendars")
    form = forms(ana.get(address(contract, "?open=calendars")))[url] | {"country:sales": "DE"}

    filled = forms(ana.post(f"{url}/rows/calendars/sales/holidays", data=form))[url]

    assert "2027-10-03 | closed" in filled["calendars.sales.overrides"]
    assert ana.post(url, data=filled).status_code == 303
    days = [each.get("date") for each in terms(contract)["calendars"]["sales"]["overrides"]]
    assert "2027-10-03" in days


def test_back_to_the_templates_words(ana, contract):
    before = terms(contract)
    form = forms(ana.get(address(contract, "?open=maintenance")))[section_url(contract, "maintenance")]
    ana.post(section_url(contract, "maintenance"), data=form | {"maintenance.min_notice_h": "1"})
    assert terms(contract) != before

    ana.post(section_url(contract, "maintenance") + "/restoring")

    assert terms(contract) == before


def test_people_title_and_languages(ana, cast, contract):
    url = f"/contracts/{contract.reference}/people"
    form = forms(ana.get(address(contract, "?open=people")))[url]
    assert ana.post(url, data=form | {"theirs.it": cast.claire.id, "title": "Assistance"}).status_code == 303
    assert "Claire Aubert (IT)" in ana.get(address(contract)).get_data(as_text=True)
    assert ana.post(url, data=form | {"theirs.it": "somebody"}).status_code == 422
    assert ana.post(url, data=form | {"title": ""}).status_code == 422

    url = f"/contracts/{contract.reference}/languages"
    form = forms(ana.get(address(contract, "?open=languages")))[url]
    assert ana.post(url, data=form | {"languages": "fr,en", "prevailing": "fr"}).status_code == 303
    assert "facing columns" in ana.get(address(contract)).get_data(as_text=True)
    assert ana.post(url, data=form | {"languages": "de"}).status_code == 422
    late = ana.post(url, data=form | {"languages": "en"})
    assert late.status_code == 422
    assert "changed this section" in late.get_data(as_text=True)


def test_a_clause_is_edited_moved_added_and_removed(ana, contract):
    url = f"/contracts/{contract.reference}/clauses/purpose"
    form = forms(ana.get(url))[url]
    assert ana.post(url, data=form | {"text.fr": "Voir [[reporting]] et {{product}}."}).status_code == 303
    assert "Voir" in ana.get(url).get_data(as_text=True)

    for wrong in ("{{nonsense}}", "[[nowhere]]"):
        refused = ana.post(url, data=forms(ana.get(url))[url] | {"text.fr": wrong})
        assert refused.status_code == 422
        assert wrong in refused.get_data(as_text=True)
    late = ana.post(url, data=form | {"text.fr": "Trop tard"})
    assert late.status_code == 422
    assert "Trop tard" in late.get_data(as_text=True)

    ana.post(f"{url}/down")
    added = ana.post(f"/contracts/{contract.reference}/clauses", data={"after": "purpose"})
    keys = [each["key"] for each in revisions.current(contract).clauses]
    assert keys[:3] == ["definitions", "purpose", "clause-1"]
    assert added.headers["Location"].endswith("/clauses/clause-1")
    ana.post(f"{url}/up")
    ana.post(f"/contracts/{contract.reference}/clauses/clause-1/removal")
    assert [each["key"] for each in revisions.current(contract).clauses][:2] == ["purpose", "definitions"]


def test_the_preview_is_a_pdf_that_may_do_nothing(ana, contract):
    answer = ana.get(f"/contracts/{contract.reference}/preview.pdf")

    assert answer.data.startswith(b"%PDF-")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_colleague_is_told_and_a_stranger_finds_nothing(app, cast, contract):
    ben, cleo, nobody = browser(app, cast.ben), browser(app, cast.cleo), app.test_client()
    urls = [address(contract), address(contract, "/slas"), f"/contracts/{contract.reference}/clauses/purpose"]

    for url in urls:
        assert ben.get(url).status_code == 403
        assert cleo.get(url).status_code == 404
        assert nobody.get(url).status_code == 404
    assert ben.post(section_url(contract, "money"), data={}).status_code == 403
    assert cleo.post(section_url(contract, "money"), data={}).status_code == 404


@pytest.mark.parametrize("section", SECTIONS)
def test_rubbish_never_breaks_a_section(ana, contract, section):
    names = forms(ana.get(address(contract, f"?open={section}")))[section_url(contract, section)]
    for value in ("", "\0", "9" * 5000, "<script>", "-1", "…", "2027-01-01"):
        answer = ana.post(section_url(contract, section), data=dict.fromkeys(names, value))
        assert answer.status_code in (303, 409, 422)
    assert ana.post(section_url(contract, "nothing"), data={}).status_code == 404
    assert ana.get(address(contract, "?open=nothing")).status_code == 200
    assert ana.get(address(contract, "/nothing")).status_code == 404


def test_htmx_gets_the_fragment_alone(ana, contract):
    answer = ana.get(address(contract, "?open=money"), headers={"HX-Request": "true"})

    assert answer.get_data(as_text=True).lstrip().startswith('<div id="draft"')
