"""What forms offer to choose from: countries, zones, languages, currencies."""

from __future__ import annotations

from functools import lru_cache

from portal.i18n import NAMES, current
from portal.services import parties
from portal.services.new_contracts import CURRENCIES

__all__ = ["CURRENCIES", "countries", "country_name", "languages", "zones"]


def country_name(code: str) -> str:
    """The country's name in the reader's language."""
    return _country_names(current()).get(code, code)


@lru_cache(maxsize=4)
def _country_names(language: str) -> dict[str, str]:
    from babel import Locale  # read once a language

    return {code: str(name) for code, name in Locale.parse(language).territories.items()}


def countries(given: str = "") -> list[tuple[str, str]]:
    """Countries by name; one that is stored but not on our list is offered too."""
    codes = {*parties.ZONE_OF, *([given] if given else [])}
    return sorted(((code, country_name(code)) for code in codes), key=lambda each: each[1])


def zones() -> list[str]:
    return sorted({*parties.ZONE_OF.values(), "UTC"})


def languages() -> list[tuple[str, str]]:
    return list(NAMES.items())
