"""What was typed, what it means, and what is wrong with it: nothing typed is ever lost.

A posted form and a row of a file are read by the same rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from portal.channels import addresses
from portal.i18n import current, format_number
from portal.i18n import gettext as _

EMAIL = re.compile(r"[^@\s<>\"(),:;\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
Number = TypeVar("Number", int, Decimal)
MOST_CHARACTERS = 500
# Control characters but tab and line end, and halves of characters.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Typed:
    """What was typed, by field. Each reader gives the meaning of one field, or notes the reason beside it.

    Readers never raise: after a refusal they return None (or an empty value), `errors` names
    the field, and `values` still holds what was typed.
    """

    def __init__(self, posted: Mapping[str, Any] | None = None, **defaults: Any) -> None:
        self.posted = posted if posted is not None else {}
        self.values: dict[str, Any] = {k: "" if v is None else v for k, v in defaults.items()}
        self.values.update({name: clean(str(self.posted[name])) for name in self.posted})
        self.errors: dict[str, str] = {}

    def value(self, name: str) -> Any:
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        return self.errors.get(name, "")

    def refuse(self, name: str, reason: str) -> None:
        """Note why a field cannot be taken; the first reason stays."""
        self.errors.setdefault(name, reason)

    def text(self, name: str, *, most: int = MOST_CHARACTERS, required: bool = False) -> str:
        """One line or a paragraph, without control characters."""
        value = str(self.value(name)).strip()
        if required and not value:
            self.refuse(name, _("Fill this in."))
        elif len(value) > most:
            self.refuse(
                name,
                _("Shorten this to %(most)s characters; it has %(count)s.",
                  most=format_number(most), count=format_number(len(value))),
            )  # fmt: skip
            return ""
        return value

    def choice(self, name: str, allowed: Iterable[str], *, required: bool = True) -> str:
        value = str(self.value(name))
        if value in set(allowed):
            return value
        if value or required:
            self.refuse(name, _("Choose one of the answers offered."))
        return ""

    def checked(self, name: str, *, required: str = "") -> bool:
        """A ticked box. `required` is the reason shown when it is not ticked."""
        ticked = self.posted.get(name) not in (None, "", "0", "off")
        if required and not ticked:
            self.refuse(name, required)
        return ticked

    def integer(
        self, name: str, *, least: int = 0, most: int = 1_000_000, required: bool = False
    ) -> int | None:
        typed = squeeze(str(self.value(name)))
        if not typed:
            if required:
                self.refuse(name, _("Write a whole number."))
            return None
        if not re.fullmatch(r"-?[0-9]{1,12}", typed):
            self.refuse(name, _("Write a whole number, in digits."))
            return None
        return self._within(name, int(typed), least, most)

    def decimal(
        self, name: str, *, least: str = "0", most: str = "999999999999.99", places: int = 2,
        required: bool = False,
    ) -> Decimal | None:  # fmt: skip
        """An amount or percentage, typed the English or the French way."""
        typed = squeeze(str(self.value(name)))
        if not typed:
            if required:
                self.refuse(name, _("Write a number."))
            return None
        try:
            number = Decimal(plain_decimal(typed, current()))
        except InvalidOperation:
            self.refuse(
                name, _("Write a number, such as %(example)s.", example=format_number(Decimal("4500.50")))
            )
            return None
        if -int(number.as_tuple().exponent) > places:
            self.refuse(name, _("Use at most %(places)s digits behind the decimal sign.", places=places))
            return None
        return self._within(name, number, Decimal(least), Decimal(most))

    def _within(self, name: str, number: Number, least: Number, most: Number) -> Number | None:
        if least <= number <= most:
            return number
        self.refuse(
            name,
            _("Write a number from %(least)s to %(most)s.",
              least=format_number(least), most=format_number(most)),
        )  # fmt: skip
        return None

    def date(self, name: str, *, required: bool = False) -> date | None:
        """A calendar day, as date inputs send it (2027-02-01) or typed day first (1/2/2027)."""
        typed = str(self.value(name)).strip()
        if not typed:
            if required:
                self.refuse(name, _("Choose a date."))
            return None
        day = parse_date(typed)
        if day is None or not 1990 <= day.year <= 2200:
            self.refuse(name, _("Write the date as day/month/year, such as 1/2/2027."))
            return None
        return day

    def email(self, name: str, *, required: bool = True) -> str:
        typed = str(self.value(name)).strip().lower()
        if not typed:
            if required:
                self.refuse(name, _("Write a mail address, such as name@example.com."))
            return ""
        local, _at, domain = typed.rpartition("@")
        try:
            # A domain in any script is kept in the form that mail servers exchange.
            typed = f"{local}@{addresses.to_ascii(domain)}" if domain else typed
        except ValueError:
            typed = ""
        if len(typed) > 254 or ".." in typed or not EMAIL.match(typed):
            self.refuse(name, _("This is not a mail address. Write it as name@example.com."))
            return ""
        return typed

    def phone(self, name: str, *, country: str = "", required: bool = False) -> str:
        """A telephone number as E.164 (+33612345638); national numbers follow `country`."""
        import phonenumbers

        typed = str(self.value(name)).strip()
        if not typed:
            if required:
                self.refuse(name, _("Write a number with its country code, such as +44 117 496 0182."))
            return ""
        try:
            number = phonenumbers.parse(typed, country or None)
        except phonenumbers.NumberParseException:
            number = None
        if number is None or not phonenumbers.is_possible_number(number):
            self.refuse(name, _("Write the number with its country code, such as +44 117 496 0182."))
            return ""
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def clean(text: str) -> str:
    """Without NUL and other control characters (tabs and line ends stay), in composed form."""
    return unicodedata.normalize("NFC", UNSEEN.sub("", text))


def squeeze(text: str) -> str:
    return re.sub(r"[\s\u00a0\u202f']", "", text)


def plain_decimal(typed: str, language: str) -> str:
    """Digits with a point: commas group thousands in English and mark decimals in French."""
    if not re.fullmatch(r"-?[0-9.,]+", typed):
        raise InvalidOperation
    if language == "fr":
        return typed.replace(".", "").replace(",", ".") if "," in typed else typed
    return typed.replace(",", "")


def parse_date(typed: str) -> date | None:
    iso = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", typed)
    spoken = re.fullmatch(r"(\d{1,2})[/. -](\d{1,2})[/. -](\d{4})", typed)
    try:
        if iso:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if spoken:
            return date(int(spoken[3]), int(spoken[2]), int(spoken[1]))
    except ValueError:
        pass
    return None
