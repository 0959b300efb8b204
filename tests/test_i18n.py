"""Both languages are whole, and figures and dates read as their readers write them."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from jinja2 import Environment

from portal import i18n, translations
from portal.translations import check

AT = datetime(2026, 11, 24, 15, 20, tzinfo=UTC)
NB, NNB = "\u00a0", "\u202f"


# --- Both languages are whole ---------------------------------------------------------------


def test_every_message_has_french() -> None:
    without = check.missing("fr")

    lines = sorted(f"{places[0]}: {message.id!r}" for message, places in without.items())
    assert not lines, "\n".join([f"{len(lines)} messages without French:", *lines])


def test_every_word_of_a_template_can_be_translated() -> None:
    found = {name: words for name, source in check.templates() if (words := check.bare_words(source))}

    assert not found, "\n".join(f"{name}: {' '.join(words)}" for name, words in found.items())


def test_translations_keep_the_placeholders() -> None:
    wrong = []
    for name, entry in check.entries("fr"):
        plural = isinstance(entry.id, tuple)
        ids = entry.id if plural else (entry.id,)
        strings = entry.string if plural else (entry.string,)
        known = check.placeholders(ids[-1])
        for place, string in enumerate(strings):
            # The singular says at least what the English singular says; the plural all there is.
            expected = check.placeholders(ids[min(place, len(ids) - 1)]) - ({"num"} if plural else set())
            missing = expected - check.placeholders(string) if string else set()
            unknown = check.placeholders(string) - known
            if missing or unknown:
                wrong.append(f"{name}: {string!r} lacks {missing or '-'}, invents {unknown or '-'}")

    assert not wrong, "\n".join(wrong)


def test_a_message_in_two_files_is_translated_alike() -> None:
    seen: dict[object, tuple[str, object]] = {}
    clashes = []
    for name, entry in check.entries("fr"):
        key = (entry.context, entry.id if isinstance(entry.id, str) else entry.id[0])
        if not all(entry.string):
            continue
        first, string = seen.setdefault(key, (name, entry.string))
        if string != entry.string:
            clashes.append(f"{key[1]!r}: {first} says {string!r}, {name} says {entry.string!r}")

    assert not clashes, "\n".join(clashes)


def test_french_puts_a_space_that_cannot_break_before_tall_punctuation() -> None:
    found = [
        f"{name}: {string!r}"
        for name, entry in check.entries("fr")
        for string in (entry.string if isinstance(entry.string, tuple | list) else (entry.string,))
        if any(f" {sign}" in string for sign in ":;?!»")
    ]

    assert not found, "\n".join(found)


# --- The check itself ---------------------------------------------------------------------------


def test_the_check_sees_bare_words_but_not_messages_code_or_values() -> None:
    source = (
        '<p title="{{ _("Kept") }}" class="quiet">{% trans %}Whole{% endtrans %} {{ name }}'
        '<code>qpdf</code> Countersign</p><img alt="Naked">Bare'
    )

    assert check.bare_words(source) == ["Naked", "Bare"]


def test_missing_messages_are_appended_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fr").mkdir()
    monkeypatch.setattr(translations, "FOLDER", tmp_path)
    wanted = {
        check.Message("Sign", None, "phase"): ["templates/a.html:1"],
        check.Message("%(num)s page", "%(num)s pages", None): ["templates/a.html:2"],
    }

    first, second = check.append("fr", "area", wanted), check.append("fr", "area", wanted)

    text = (tmp_path / "fr" / "area.po").read_text(encoding="utf-8")
    assert (first, second) == (2, 0)
    assert text.count('msgctxt "phase"') == 1
    assert text.count("msgid_plural") == 1
    assert translations.read("fr") == {}


# --- Whose language --------------------------------------------------------------------------------


def test_the_language_returns_after_the_block() -> None:
    with i18n.use("en", "Europe/London"):
        with i18n.use("fr", "Europe/Paris"):
            inside = i18n.current(), i18n.current_zone(), i18n.gettext("Next step")
        after = i18n.current(), i18n.current_zone(), i18n.gettext("Next step")

    assert inside == ("fr", "Europe/Paris", "Étape suivante")
    assert after == ("en", "Europe/London", "Next step")


def test_an_unknown_language_is_english() -> None:
    with i18n.use("xx"):
        assert i18n.current() == "en"


def test_threads_do_not_share_a_language() -> None:
    seen: list[str] = []

    def other() -> None:
        i18n.activate("fr")
        seen.append(i18n.gettext("Next step"))

    with i18n.use("en"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        seen.append(i18n.gettext("Next step"))

    assert seen == ["Étape suivante", "Next step"]


def test_one_word_has_two_translations_where_its_meaning_differs() -> None:
    with i18n.use("fr"):
        assert i18n.pgettext("phase", "Sign") == "Signature"


def test_lazy_text_is_translated_when_it_is_shown() -> None:
    label = i18n.lazy("Step %(step)s of %(steps)s", step=2, steps=4)

    with i18n.use("fr"):
        french = str(label)

    assert (french, f"{label}") == ("Étape 2 sur 4", "Step 2 of 4")
    assert label == "Step 2 of 4"


@pytest.mark.parametrize(
    ("language", "n", "text"),
    [
        ("en", 0, "0 days"),
        ("en", 1, "1 day"),
        ("en", 2000, "2,000 days"),
        ("fr", 0, "0 jour"),
        ("fr", 1, "1 jour"),
        ("fr", 2000, f"2{NNB}000 jours"),
    ],
)
def test_one_and_many_follow_the_language(language: str, n: int, text: str) -> None:
    with i18n.use(language):
        assert i18n.ngettext("%(num)s day", "%(num)s days", n) == text


# --- Dates and figures --------------------------------------------------------------------------------


def both(write: object) -> tuple[str, str]:
    assert callable(write)
    with i18n.use("en", "Europe/London"):
        english = write()
    with i18n.use("fr", "Europe/London"):
        return english, write()


def test_dates() -> None:
    day = date(2027, 1, 1)

    assert both(lambda: i18n.format_date(day)) == ("1 Jan 2027", "1 janv. 2027")
    assert both(lambda: i18n.format_date(day, weekday=True)) == ("Fri 1 Jan 2027", "ven. 1 janv. 2027")
    assert both(lambda: i18n.format_date(day, long=True)) == (
        "Friday 1 January 2027",
        "vendredi 1 janvier 2027",
    )


def test_times_carry_their_zone() -> None:
    assert both(lambda: i18n.format_datetime(AT)) == (
        f"Tue 24 Nov 2026, 15:20{NB}GMT",
        f"mar. 24 nov. 2026 à 15:20{NB}GMT",
    )
    assert i18n.format_datetime(datetime(2026, 6, 30, 23, 30, tzinfo=UTC), "Europe/London").endswith(
        f"1 Jul 2026, 00:30{NB}BST"
    )
    assert i18n.format_time(AT, "Europe/Paris", place=True) == f"16:20{NB}Europe/Paris"
    assert i18n.format_time(AT, "America/Sao_Paulo") == f"12:20{NB}UTC-03"


def test_a_time_element_holds_utc() -> None:
    assert i18n.machine_time(AT.astimezone()) == "2026-11-24T15:20:00Z"
    assert i18n.machine_time(date(2026, 11, 24)) == "2026-11-24"


def test_money_carries_its_currency_and_never_breaks() -> None:
    assert both(lambda: i18n.format_money(Decimal(15500), "EUR")) == (
        f"EUR{NB}15,500.00",
        f"15{NNB}500,00{NB}EUR",
    )
    assert i18n.format_money(Decimal("1234567.6"), "JPY") == f"JPY{NB}1,234,568"
    assert i18n.format_money(Decimal("-0.005"), "GBP") == f"GBP{NB}-0.01"


def test_numbers_keep_their_decimals() -> None:
    assert both(lambda: i18n.format_number(Decimal("1234.50"))) == ("1,234.50", f"1{NNB}234,50")
    assert i18n.format_number(Decimal("1E+3")) == "1,000"
    assert both(lambda: i18n.format_percent(Decimal("99.90"))) == ("99.90%", f"99,90{NNB}%")


@pytest.mark.parametrize(
    ("size", "english", "french"),
    [
        (1, "1 byte", "1 octet"),
        (999, "999 bytes", "999 octets"),
        (184_321, f"184{NB}KB", f"184{NB}Ko"),
        (999_999, f"1.0{NB}MB", f"1,0{NB}Mo"),
        (25_000_000, f"25{NB}MB", f"25{NB}Mo"),
        (3_200_000_000_000, f"3,200{NB}GB", f"3{NNB}200{NB}Go"),
    ],
)
def test_sizes(size: int, english: str, french: str) -> None:
    assert both(lambda: i18n.format_size(size)) == (english, french)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(0), "0 seconds"),
        (timedelta(minutes=38), "38 minutes"),
        (timedelta(hours=1, minutes=50, seconds=40), "1 hour 50 minutes"),
        (timedelta(days=2, minutes=5), "2 days 5 minutes"),
        (timedelta(days=-2), "2 days"),
    ],
)
def test_durations_are_words(length: timedelta, words: str) -> None:
    with i18n.use("en"):
        assert i18n.format_duration(length) == words


def test_how_long_ago() -> None:
    assert both(lambda: i18n.format_ago(AT - timedelta(hours=5, minutes=50), AT)) == (
        "5 hours ago",
        "il y a 5 heures",
    )
    assert both(lambda: i18n.format_ago(AT + timedelta(days=3), AT)) == ("in 3 days", "dans 3 jours")
    assert both(lambda: i18n.format_ago(AT - timedelta(seconds=20), AT)) == ("just now", "à l’instant")


# --- In templates -----------------------------------------------------------------------------------------


def test_templates_translate_and_escape_what_they_fill_in() -> None:
    environment = Environment(autoescape=True)
    i18n.install(environment)
    template = environment.from_string(
        '{{ _("Template: %(was)s", was=name) }}|{% trans step=1, steps=name %}Step {{ step }} of {{ steps }}'
        "{% endtrans %}|{% trans num=2 %}One thing to correct{% pluralize %}{{ num }} things to correct"
        "{% endtrans %}|{{ day | date(weekday=true) }}"
    )

    with i18n.use("fr"):
        text = template.render(name="<b>", day=date(2027, 1, 1))

    assert text == (f"Modèle{NB}: &lt;b&gt;|Étape 1 sur &lt;b&gt;|2 points à corriger|ven. 1 janv. 2027")
