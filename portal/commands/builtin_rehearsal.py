"""Built-in signing rehearsed: a contract of the sample company in a data folder that is thrown away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from portal import i18n, sample
from portal.clock import utc_now
from portal.errors import PortalError
from portal.models import base
from portal.models.envelopes import Envelope
from portal.services import handlers
from portal.services.builtin_ceremony import BuiltinCeremony
from portal.settings import read
from providers import registry, rehearsal
from providers.builtin import BuiltIn
from providers.errors import Refused
from providers.interface import EnvelopeRequest, EnvelopeState, ExecutedFile, RemoteEnvelope


class InAThrowAwayCompany(BuiltIn):
    """What the rehearsal asks is done with contracts of an invented company: built-in signing sends
    contracts of the portal, not files from outside."""

    def __init__(self, now: datetime) -> None:
        super().__init__(BuiltinCeremony())
        self._now = now
        self._world = sample.make_world(now)

    def send(self, request: EnvelopeRequest) -> EnvelopeState:
        return super().fetch(RemoteEnvelope(self.sent().id, request.id))

    def sent(self) -> Envelope:
        contract = sample.ready(self._world, sample.answers(self._world), self._now)
        return sample.send(self._world, contract, self._now)

    def key(self, envelope: RemoteEnvelope) -> str:
        """Whoever is asked first stands for the rehearsal's first signer."""
        return next(each.key for each in super().fetch(envelope).recipients if each.status.value == "sent")

    def remind(self, envelope: RemoteEnvelope, recipient_key: str) -> None:
        super().remind(envelope, self.key(envelope))

    def signing_url(self, envelope: RemoteEnvelope, recipient_key: str, *, return_url: str) -> str:
        return super().signing_url(envelope, self.key(envelope), return_url=return_url)

    def download(self, envelope: RemoteEnvelope) -> ExecutedFile:
        """Of a second request, which everybody signs."""
        done = self.sent()
        sample.sign_all(done, self._now)
        return super().download(RemoteEnvelope(done.id, done.id))


def run(folder: Path, tell: Callable[[rehearsal.Line], None]) -> bool:
    """Whether every step was right. The folder holds all of it, and the caller throws it away."""
    from portal import serving

    settings = read({"COUNTERSIGN_DATA_DIR": str(folder)}, create_keys=True)
    now = utc_now()
    sample.found(settings, now=now)
    serving.prepare(settings)
    settings.sample_marker.write_text("This folder holds invented data.\n")
    handlers.load()
    registry.set_ceremony(BuiltinCeremony())
    try:
        with i18n.use("en"):
            return rehearsal.run(InAThrowAwayCompany(now), tell)
    except PortalError as error:
        raise Refused(error.message) from error
    finally:
        base.disconnect()
