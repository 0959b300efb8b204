"""What can go wrong with a provider. `retry` says whether the same call may work later."""

from __future__ import annotations


class ProviderError(Exception):
    """A provider did not do what was asked; the log has the rest.

    `sentence` is for people: a marked message, which whoever shows it translates and fills with
    `params`. `str()` is the English one, filled.
    """

    retry = False

    def __init__(self, sentence: str = "", *, retry_after_s: float | None = None, **params: object) -> None:
        super().__init__(sentence % params if params else sentence)
        self.sentence = sentence
        self.params = params
        self.retry_after_s = retry_after_s


class Unavailable(ProviderError):
    """Down, busy or too slow; nothing is known about the effect of the call."""

    retry = True


class Preparing(Unavailable):
    """The provider has the document and is still reading it; `remote_id` is what it will become."""

    def __init__(
        self, remote_id: str, sentence: str = "", *, retry_after_s: float = 5.0, **params: object
    ) -> None:
        super().__init__(sentence, retry_after_s=retry_after_s, **params)
        self.remote_id = remote_id


class Throttled(Unavailable):
    """Too many calls; nothing was done, and `retry_after_s` says when to come back."""


class Refused(ProviderError):
    """The provider understood and said no; `status` is its HTTP status, 0 where there was none."""

    status = 0
    code = ""  # the provider's own word for the reason


class Unsupported(ProviderError):
    """The provider cannot do this; known from its capabilities, before any request."""


class BadSignature(ProviderError):
    """A webhook whose signature does not hold."""


class NotConfigured(ProviderError):
    """What a connection needs is missing or no longer accepted; an administrator connects again."""
