"""A simulated vendor beside the arena: it lives on while the portal's processes are killed over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from portal.services import calls
from tests.faults import doomed
from tests.faults.arena import NOW, NOWHERE, Arena, Copies, Lived, live
from tests.faults.doomed import Doom, Site
from tests.simulators.signnow import SignNow

AFTER_A_KILL = calls.LEASE + timedelta(seconds=1)
SIGNED = NOW + timedelta(minutes=30)


@dataclass
class Vendor:
    """The vendor's side, and copies of an installation with an account there."""

    there: SignNow
    copies: Copies
    archive: set[str] = field(default_factory=set)

    @contextmanager
    def fresh(self) -> Iterator[Site]:
        """A copy before anything was sent, at a vendor that has heard of nothing but its archive."""
        with self.there.lock:
            self.there.envelopes.clear()
            self.there.mails.clear()
            self.there.fill_archive(3, until=NOW - timedelta(days=1))
            self.archive = set(self.there.envelopes)
        with self.copies.fresh() as site:
            yield site

    def ours(self) -> list[tuple[str, str]]:
        """How everything stands there that was made from here, half or whole: (status, their number)."""
        return [(e.status, e.id) for e in self.there.envelopes.values() if e.id not in self.archive]

    def send(self, site: Site, *, doom: Doom = NOWHERE, after_s: float = 0.0) -> Lived:
        return live(site, NOW, doomed.work, doom=doom, after_s=after_s)

    def send_again(self, site: Site) -> None:
        live(site, NOW + AFTER_A_KILL, doomed.work)

    def sign(self) -> None:
        """Everybody signs there."""
        ((_status, number),) = self.ours()
        self.there.complete(number)

    def fetch(self, site: Site, *, doom: Doom = NOWHERE) -> Lived:
        """A worker's life in which it looks, and fetches what is complete."""
        return live(site, SIGNED, doomed.work, doom=doom)

    def fetch_again(self, site: Site) -> None:
        live(site, SIGNED + AFTER_A_KILL, doomed.work)

    def whole_way(self, site: Site) -> set[str]:
        """Every named point passed from sending to the kept file, and in bringing the archive."""
        sent = self.send(site)
        self.sign()
        return set(sent.visits) | set(self.fetch(site).visits)


@contextmanager
def opened(arena: Arena) -> Iterator[Vendor]:
    simulator = SignNow(lambda: NOW)
    with simulator.serving() as there:
        given = ("signnow", there.connection_settings(), there.origin)
        arena.stages.pop("vendor", None)  # its address is another one
        yield Vendor(there, arena.stage("vendor", *given))
