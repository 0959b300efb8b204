"""What can go wrong, in words a person can act on. Each error knows its HTTP status."""

from __future__ import annotations


class PortalError(Exception):
    """A refusal with a sentence for the person who caused it, already in their language."""

    status = 500

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class NotFound(PortalError):
    """Nothing there, or nothing this person may know of."""

    status = 404


class NotAllowed(PortalError):
    """The person is known here, but this act is not theirs."""

    status = 403


class Conflict(PortalError):
    """The act does not fit the present state."""

    status = 409


class Invalid(PortalError):
    """What was typed cannot be taken: field name to reason."""

    status = 422

    def __init__(self, errors: dict[str, str], message: str = "") -> None:
        super().__init__(message or " ".join(errors.values()))
        self.errors = errors


class TooMany(PortalError):
    """A limit is reached; `retry_after_s` says when to come back."""

    status = 429

    def __init__(self, message: str, retry_after_s: int = 60) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(PortalError):
    """Something outside is down or busy; the same act may work later."""

    status = 503
