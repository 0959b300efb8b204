"""The frames and parts every page is built from, each in every state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment

from portal import i18n
from tests.pages.parts import Elements, Form, make_environment

AT = datetime(2026, 11, 24, 15, 20, tzinfo=UTC)
NB = "\u00a0"


@pytest.fixture(scope="module")
def environment() -> Environment:
    return make_environment()


@pytest.fixture
def ui(environment: Environment) -> Iterator[Any]:
    with i18n.use("en", "Europe/London"):
        yield environment.get_template("_ui.html").module


# --- Forms --------------------------------------------------------------------------------------


def test_a_field_has_label_hint_and_reason_tied_to_it(ui: Any) -> None:
    form = Form({"email": 'a"b'}, {"email": "Write an address."})

    html = ui.field(form, "email", "Mail", type="email", hint="At work", required=True, autocomplete="email")

    field = Elements(html)
    assert field.one("label")["for"] == "email"
    assert field.one("input") == {
        "id": "email",
        "name": "email",
        "type": "email",
        "value": 'a"b',
        "aria-required": "true",
        "aria-invalid": "true",
        "aria-describedby": "email-hint email-reason",
        "autocomplete": "email",
    }
    assert 'id="email-hint">At work<' in html
    assert 'id="email-reason">Write an address.<' in html


def test_a_field_without_fault_says_nothing(ui: Any) -> None:
    field = Elements(ui.field(Form(), "city", "City"))

    assert field.one("input") == {"id": "city", "name": "city", "type": "text", "value": ""}


@pytest.mark.parametrize("kind", ["password", "file"])
def test_a_secret_or_a_file_is_not_sent_back(ui: Any, kind: str) -> None:
    field = Elements(ui.field(Form({"it": "hidden"}), "it", "It", type=kind))

    assert "value" not in field.one("input")


def test_a_refused_text_keeps_what_was_typed(ui: Any) -> None:
    html = ui.field(Form({"note": "one\n<two>"}), "note", "Note", type="textarea")

    assert ">\none\n&lt;two&gt;</textarea>" in html


def test_a_select_and_its_unit_keep_the_choice(ui: Any) -> None:
    form = Form({"fee": "10", "fee_unit": "GBP"})

    html = ui.field(form, "fee", "Fee", type="decimal", unit=["EUR", "GBP"])

    assert 'inputmode="decimal"' in html
    assert '<option value="GBP" selected>' in html
    assert 'for="fee_unit">Unit of Fee<' in html


def test_radios_form_a_group_with_one_reason(ui: Any) -> None:
    form = Form({"side": "them"}, {"side": "Choose one."})

    html = ui.field(form, "side", "Side", type="radios", options=[("us", "We"), ("them", "They", "A vendor")])

    group = Elements(html)
    assert group.one("fieldset")["aria-describedby"] == "side-reason"
    inputs = [attributes for tag, attributes in group.all if tag == "input"]
    assert [(i["id"], i["value"], "checked" in i) for i in inputs] == [
        ("side", "us", False),
        ("side-2", "them", True),
    ]
    assert inputs[1]["aria-describedby"] == "side-2-about"


@pytest.mark.parametrize(("held", "ticked"), [("", False), ("0", False), ("yes", True), ("on", True)])
def test_a_checkbox_is_ticked_when_the_form_holds_it(ui: Any, held: str, ticked: bool) -> None:
    box = Elements(ui.field(Form({"agree": held}), "agree", "I agree", type="checkbox")).one("input")

    assert ("checked" in box) is ticked


def test_the_summary_leads_to_every_field(ui: Any) -> None:
    html = ui.error_summary(Form(errors={"email": "Write <it>.", "": "The file is gone."}))

    assert "2 things to correct" in html
    assert '<a href="#email">Write &lt;it&gt;.</a>' in html
    assert "<li>The file is gone.</li>" in html
    assert not str(ui.error_summary(Form())).strip()


def test_a_button_that_posts_carries_the_token_and_its_values(ui: Any) -> None:
    html = ui.press("Void", "/void", "grave", {"reason": "x"}, hx_post="/void", hx_disabled=False)

    assert Elements(html).one("form") == {"method": "post", "action": "/void", "hx-post": "/void"}
    assert 'name="csrf_token" value="token"' in html
    assert 'name="reason" value="x"' in html


# --- Words and figures ------------------------------------------------------------------------------


def test_a_time_is_readable_by_people_and_programs(ui: Any) -> None:
    assert ui.time(AT) == f'<time datetime="2026-11-24T15:20:00Z">Tue 24 Nov 2026, 15:20{NB}GMT</time>'
    assert ui.date(date(2027, 1, 1)) == '<time datetime="2027-01-01">1 Jan 2027</time>'
    assert not ui.time(None)


def test_money_does_not_break(ui: Any) -> None:
    assert ui.money(Decimal(15500), "EUR") == f'<span class="nowrap">EUR{NB}15,500.00</span>'


def test_facts_leave_out_what_is_empty(ui: Any) -> None:
    html = ui.facts([("Fee", "EUR 1"), ("Cap", None), ("Law", "")])

    assert [tag for tag, _ in Elements(html).all].count("dt") == 1


@pytest.mark.parametrize(
    ("current", "done"), [("draft", 0), ("agree", 1), ("sign", 2), ("live", 3), ("ended", 4), ("archived", 5)]
)
def test_phases_mark_what_is_done_and_where_we_are(ui: Any, current: str, done: int) -> None:
    steps = [attributes for tag, attributes in Elements(ui.phases(current)).all if tag == "li"]

    assert ["data-done" in step for step in steps] == [n < done for n in range(6)]
    assert [step.get("aria-current") for step in steps].index("step") == done


def test_phases_speak_french(environment: Environment) -> None:
    with i18n.use("fr"):
        html = environment.get_template("_ui.html").module.phases("sign")  # type: ignore[attr-defined]

    assert "<span>Signature</span>" in html


def test_table_parts_carry_the_roles_that_styles_would_drop(ui: Any, environment: Environment) -> None:
    html = environment.from_string(
        '{% from "_ui.html" import table, row, row_head, cell %}'
        '{% call table(["Contract", ("Fee", "num")], label="All") %}{% call row() %}'
        '{{ row_head("C-1", "/c", "about") }}{{ cell("Fee", 5, num=true) }}{% endcall %}{% endcall %}'
    ).render()

    roles = [(tag, attributes.get("role")) for tag, attributes in Elements(html).all if "role" in attributes]
    assert roles == [
        ("table", "table"),
        ("thead", "rowgroup"),
        ("tr", "row"),
        ("th", "columnheader"),
        ("th", "columnheader"),
        ("tbody", "rowgroup"),
        ("tr", "row"),
        ("th", "rowheader"),
        ("td", "cell"),
    ]
    assert '<td role="cell" data-label="Fee" class="num">' in html


# --- Frames ------------------------------------------------------------------------------------------


def page(environment: Environment, name: str, **values: Any) -> str:
    with i18n.use("en"):
        return environment.get_template(name).render(**values)


def test_the_staff_frame_tells_htmx_what_it_may_do(environment: Environment) -> None:
    html = page(environment, "base.html", htmx_url="/static/htmx.js")

    config = json.loads(
        next(a["content"] for t, a in Elements(html).all if t == "meta" and a.get("name") == "htmx-config")
        or ""
    )
    assert [config[key] for key in ("allowEval", "allowScriptTags", "includeIndicatorStyles")] == [False] * 3
    assert config["selfRequestsOnly"] is True
    assert config["historyCacheSize"] == 0
    answers = {code: rule for rule in config["responseHandling"] for code in [rule["code"]]}
    order = [rule["code"] for rule in config["responseHandling"]]
    assert order.index("422") < order.index("[45]..")
    assert "target" not in answers["422"]
    assert answers["[45].."]["target"] == "#problem"
    assert 'id="problem"' in html


def test_the_staff_frame_shows_who_is_signed_in_and_where(environment: Environment) -> None:
    html = page(
        environment,
        "base.html",
        nav=[("Home", "/", False), ("Contracts", "/contracts", True)],
        person=SimpleNamespace(name="Ana <Ruiz>"),
        account_url="/account",
        search_url="/contracts",
        query='"x"',
        here="/contracts?q=x",
    )

    assert '<a href="/contracts" aria-current="page">' in html
    assert '<a class="me" href="/account">Ana &lt;Ruiz&gt;</a>' in html
    assert 'value="&#34;x&#34;"' in html
    assert 'name="next" value="/contracts?q=x"' in html
    assert 'lang="fr">Français</button>' in html


def test_a_stranger_sees_no_menu(environment: Environment) -> None:
    html = page(environment, "base.html", sign_in_url="/sign-in")

    assert "<nav" not in html
    assert 'href="/sign-in"' in html
    assert "<script" not in html


def test_the_rail_appears_only_where_a_page_fills_it(environment: Environment) -> None:
    frame = '{% extends "base.html" %}{% block content %}Body{% endblock %}'

    with_rail = environment.from_string(frame + "{% block rail %}Facts here{% endblock %}").render()

    assert 'class="rail"' in with_rail
    assert 'class="rail"' not in environment.from_string(frame).render()


def test_the_signing_frame_needs_no_script(environment: Environment) -> None:
    html = page(
        environment,
        "signing_base.html",
        company=SimpleNamespace(name="Larkfield", logo_url="/logo"),
        step=(2, 4),
        reference="LF-1",
        verify_url="/verify",
    )

    assert "<script" not in html
    assert "Step 2 of 4" in html
    assert '<body class="signing">' in html
    assert "· LF-1</title>" in html


@pytest.mark.parametrize("status", [403, 404, 405, 409, 410, 413, 422, 429, 500, 503, 418])
def test_every_refusal_has_a_page_that_says_what_to_do(environment: Environment, status: int) -> None:
    html = page(environment, "error.html", status=status, request_id="r-17")

    assert re.search(r"<h1>[A-Z][^<]{10,}</h1>\s*<p>[A-Z][^<]{20,}</p>", html)
    assert "r-17" in html
    assert str(status) not in re.sub(r"<[^>]*>", "", html)


def test_an_error_with_its_own_sentence_says_it_first(environment: Environment) -> None:
    html = page(environment, "error.html", status=409, message="The contract was voided at 09:41.")

    assert html.index("The contract was voided at 09:41.") < html.index("Load it again")


def test_a_problem_is_announced(environment: Environment) -> None:
    html = page(environment, "_problem.html", title="Not sent", message="Try <again>.")

    assert 'role="alert"' in html
    assert "Try &lt;again&gt;." in html


MAIL = {
    "company": SimpleNamespace(name="Larkfield & Sons", logo_url=None, address="14 Welsh Back, Bristol"),
    "subject": "Please sign LF-1",
    "preheader": "By Friday",
    "action": ("Open the contract", "https://example.test/sign/abc?x=1&y=2"),
    "lines": [("Reference", "LF-1")],
    "printed": "https://example.test/sign/abc",
    "sender_note": "You are named as a signer.",
}


@pytest.mark.parametrize("trim", [False, True])
def test_a_mail_and_its_plain_twin_say_the_same(environment: Environment, trim: bool) -> None:
    html = page(environment, "mail/base.html", **MAIL)
    text = page(make_environment(autoescape=False, trim=trim), "mail/base.txt", **MAIL)

    for said in ("Please sign LF-1", "Open the contract", "LF-1", "14 Welsh Back, Bristol"):
        assert said in html
        assert said in text
    assert "Larkfield &amp; Sons" in html
    assert "Larkfield & Sons" in text
    assert "https://example.test/sign/abc?x=1&y=2" in text
    assert html.count('style="display:inline-block') == 1
    assert text.startswith("Larkfield & Sons\n\nPlease sign LF-1\n\nReference: LF-1\n\nOpen the contract:\n")
    assert not re.search(r"\n{3,}|<", text)
