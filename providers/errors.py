"""What can go wrong with a provider. `retry` says whether the same call may work later."""

from __future__ import annotations


class ProviderError(Exception):
    """A provider did not do what was asked; `sentence` is for people, the log has the rest."""

    retry = False

    def __init__(self, sentence: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retry_after_s = retry_after_s


class Unavailable(ProviderError):
    """Down, busy or too slow; nothing is known about the effect of the call."""

    retry = True


class Refused(ProviderError):
    """The provider understood and said no."""


class Unsupported(ProviderError):
    """The provider cannot do this; known from its capabilities, before any request."""


class BadSignature(ProviderError):
    """A webhook whose signature does not hold."""


class NotConfigured(ProviderError):
    """What a connection needs is missing."""
