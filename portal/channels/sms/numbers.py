"""Which telephone numbers a code may go to: mobile ones, in countries we write to.

Numbers that cost the one who writes (premium, shared cost, satellite), that many answer or that move
without their owner (internet telephony, pagers) and fixed lines are refused where the numbering plans
tell them apart. What they do not tell apart passes.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from portal.i18n import lazy

NOWHERE = "001"  # what satellites and international networks are filed under
WHY: dict[str, Any] = {
    "invalid": lazy("Write the number with its country code, such as +44 7400 123456."),
    "fixed": lazy("This is a fixed line, which takes no text messages. Write a mobile number."),
    "premium": lazy("Codes do not go to numbers that cost whoever writes to them. Write a mobile number."),
    "internet": lazy("Codes do not go to internet telephony, since such numbers change hands easily. Write a "
                     "mobile number."),
    "pager": lazy("Codes do not go to pagers and voice mail. Write a mobile number."),
    "satellite": lazy("Codes do not go to satellite telephones. Write a mobile number of a country."),
    "country": lazy("Our text messages do not go to this country. An administrator can allow it under "
                    "Settings, Text messages."),
}  # fmt: skip


@lru_cache(maxsize=1024)
def why_not(number: str) -> str:
    """The word of WHY for a number that must get no codes; empty for one that may."""
    import phonenumbers
    from phonenumbers import PhoneNumberType as Type

    refused = {
        Type.FIXED_LINE: "fixed", Type.PREMIUM_RATE: "premium", Type.SHARED_COST: "premium",
        Type.TOLL_FREE: "premium", Type.VOIP: "internet", Type.PERSONAL_NUMBER: "internet",
        Type.UAN: "internet", Type.PAGER: "pager", Type.VOICEMAIL: "pager",
    }  # fmt: skip
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "invalid"
    if not phonenumbers.is_possible_number(parsed):
        return "invalid"
    if phonenumbers.region_code_for_country_code(parsed.country_code or 0) == NOWHERE:
        return "satellite"
    return refused.get(phonenumbers.number_type(parsed), "")


@lru_cache(maxsize=1024)
def country_of(number: str) -> str:
    """The country a number belongs to, as two letters; the main one where several share a code."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    found = phonenumbers.region_code_for_number(parsed)
    return str(found or phonenumbers.region_code_for_country_code(parsed.country_code or 0))


def is_written_to(number: str, countries: Collection[str]) -> bool:
    """Whether the number lies in one of the countries; an empty list leaves every country open."""
    return not countries or country_of(number) in countries


def is_country(code: str) -> bool:
    """Whether two letters name a country that has telephone numbers."""
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS
