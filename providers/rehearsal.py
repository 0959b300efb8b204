"""A whole envelope with two ordered signers, tried out at a provider step by step.

Each step ends right, not offered (the capabilities exclude it), still preparing (a wait of more than
five seconds, after which the next step is tried) or wrong. Where a provider cannot remind and embed in
one envelope, two are made. What was made is withdrawn at the end.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from providers.errors import Preparing, ProviderError, Unavailable
from providers.interface import (
    EnvelopeRequest,
    EnvelopeState,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    Provider,
    RemoteEnvelope,
    RemoteRecipient,
    mark,
)

RIGHT, NOT_OFFERED, PREPARING, WRONG = "right", "not offered", "still preparing", "wrong"
CONNECT, SEND, STATE, REMIND = mark("connect"), mark("create and send"), mark("read state"), mark("remind")
LINK, DOWNLOAD, VOID = mark("signing link"), mark("download"), mark("void")
STEPS = (CONNECT, SEND, STATE, REMIND, LINK, DOWNLOAD, VOID)
PATIENCE_S = 5.0
PEOPLE = ("first.signer@example.com", "second.signer@example.com")


@dataclass(frozen=True)
class Line:
    """One step and how it ended. `error` is what went wrong, for whoever shows it in a language."""

    step: str
    outcome: str
    detail: str = ""
    error: ProviderError | None = None

    @property
    def is_right(self) -> bool:
        return self.outcome != WRONG


class Rehearsal:
    """Runs the steps once; `report` hears of each as it ends."""

    def __init__(
        self,
        provider: Provider,
        report: Callable[[Line], None],
        *,
        people: tuple[str, str] = PEOPLE,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.provider, self.report, self.people = provider, report, people
        self._sleep, self._clock = sleep, clock
        self.lines: list[Line] = []
        self.made: list[RemoteEnvelope] = []

    def run(self) -> bool:
        """Whether every step was right."""
        can = self.provider.capabilities
        embeds = can.embedded and (can.reminds_embedded or not can.reminders)
        if self.step(CONNECT, self.connect):
            if self.step(SEND, lambda: self.send(embedded=embeds)):
                first = self.made[0]
                self.step(STATE, lambda: self.state(first))
                self.step(REMIND, lambda: self.remind(first), offered=can.reminders)
                self.step(LINK, lambda: self.link(first, embeds), offered=can.embedded)
                self.step(DOWNLOAD, lambda: self.download(first))
            self.step(VOID, self.void, offered=can.voiding)
        return len(self.lines) > 1 and all(line.is_right for line in self.lines)

    def step(self, name: str, act: Callable[[], str], *, offered: bool = True) -> bool:
        """Do it, tell it; false when nothing after it makes sense."""
        if not offered:
            return self.told(Line(name, NOT_OFFERED))
        try:
            return self.told(Line(name, RIGHT, self.patiently(act)))
        except Preparing as error:
            return self.told(Line(name, PREPARING, error=error))
        except ProviderError as error:
            return self.told(Line(name, WRONG, str(error), error))

    def told(self, line: Line) -> bool:
        self.lines.append(line)
        self.report(line)
        return line.is_right

    def patiently(self, act: Callable[[], str]) -> str:
        """Again and again while the provider says when to come back, for five seconds."""
        ends = self._clock() + PATIENCE_S
        while True:
            try:
                return act()
            except Unavailable as error:
                wait = error.retry_after_s
                if wait is None or self._clock() >= ends:
                    raise
                self._sleep(max(0.0, min(wait, 1.0, ends - self._clock())))

    # --- The steps -----------------------------------------------------------------------------

    def connect(self) -> str:
        account = self.provider.check()
        return account.name or account.id

    def send(self, *, embedded: bool) -> str:
        asked = request(self.people, embedded=embedded, orders=self.provider.capabilities.embedded_in_order)
        try:
            state = self.patiently_sent(asked)
        except Preparing as error:
            if error.remote_id:
                self.made.append(handle(asked, error.remote_id))
            raise
        self.made.append(handle(asked, state.remote_id, state))
        return state.remote_id

    def patiently_sent(self, asked: EnvelopeRequest) -> EnvelopeState:
        """Sent once; what is being prepared is asked for again by its id, never made anew."""
        ends = self._clock() + PATIENCE_S
        while True:
            try:
                return self.provider.send(asked)
            except Preparing as error:
                if self._clock() >= ends:
                    error.retry_after_s = None
                    raise
                asked = replace(asked, is_repeat=True, remote_id=error.remote_id)
                self._sleep(max(0.0, min(error.retry_after_s or 1.0, 1.0, ends - self._clock())))

    def state(self, envelope: RemoteEnvelope) -> str:
        state = self.provider.fetch(envelope)
        ids = {each.key: each.remote_id for each in state.recipients if each.remote_id}
        self.made[0] = replace(
            envelope,
            recipients=tuple(
                replace(each, remote_id=ids.get(each.key, each.remote_id)) for each in envelope.recipients
            ),
        )
        return f"{state.status.value} ({state.raw_status})" if state.raw_status else state.status.value

    def remind(self, _envelope: RemoteEnvelope) -> str:
        self.provider.remind(self.made[0], "first")
        return ""

    def link(self, envelope: RemoteEnvelope, embedded: bool) -> str:
        """The address itself is a secret and is not told."""
        if not embedded and len(self.made) == 1:
            self.send(embedded=True)
        self.provider.signing_url(self.made[-1], "first", return_url="https://example.com/signed")
        return ""

    def download(self, envelope: RemoteEnvelope) -> str:
        return f"{len(self.provider.download(envelope).pdf)} bytes"

    def void(self) -> str:
        for envelope in self.made:
            self.provider.void(envelope, "A test run; nothing was to be signed.")
        return ""


def run(provider: Provider, report: Callable[[Line], None], *, people: tuple[str, str] = PEOPLE) -> bool:
    """Rehearse; true when every step was right, not offered or still being prepared."""
    return Rehearsal(provider, report, people=people).run()


def request(people: tuple[str, str], *, embedded: bool, orders: bool = True) -> EnvelopeRequest:
    """One page for two signers, one after the other (at once where only one step can be embedded)."""
    content = page()
    keys = ("first", "second")
    return EnvelopeRequest(
        id=f"rehearsal-{uuid.uuid4().hex[:16]}",
        title="Test run",
        message="A test run of the connection. Nothing needs to be signed.",
        language="en",
        document=OutgoingDocument("test-run.pdf", hashlib.sha256(content).hexdigest(), 1, lambda: content),
        recipients=tuple(
            OutgoingRecipient(
                key, "signer", number if orders or not embedded else 1, f"{key.capitalize()} Signer",
                address, is_embedded=embedded,
            )
            for number, (key, address) in enumerate(zip(keys, people, strict=True), start=1)
        ),
        placements=tuple(
            Placement(key, 1, 72.0, 320.0 - 120.0 * number, 180.0, 48.0) for number, key in enumerate(keys)
        ),
        expires_at=datetime.now(UTC) + timedelta(days=7),
        return_url="https://example.com/signed",
    )  # fmt: skip


def handle(asked: EnvelopeRequest, remote_id: str, state: EnvelopeState | None = None) -> RemoteEnvelope:
    """What the portal would remember of an envelope that was sent."""
    ids = {each.key: each.remote_id for each in state.recipients} if state else {}
    return RemoteEnvelope(
        remote_id,
        asked.id,
        tuple(
            RemoteRecipient(
                each.key, each.role, each.routing_order, each.name, each.email, ids.get(each.key, ""),
                each.is_embedded,
            )
            for each in asked.recipients
        ),
        asked.expires_at,
    )  # fmt: skip


def page() -> bytes:
    """A one-page PDF that says what it is."""
    text = b"BT /F1 18 Tf 72 740 Td (Test run: nothing here needs a signature.) Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    made, starts = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        starts.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(made))
    return made + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (len(objects) + 1, table, end)
