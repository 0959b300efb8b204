"""What was typed into a form: the readers are those of `portal.services.typed`."""

from __future__ import annotations

from portal.services.typed import Typed, clean, parse_date, plain_decimal, squeeze

__all__ = ["Form", "clean", "parse_date", "plain_decimal", "squeeze"]


class Form(Typed):
    """A posted form. Readers never raise: a refusal stands in `errors` beside what was typed."""
