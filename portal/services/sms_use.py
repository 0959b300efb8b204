"""How many text messages this installation sends and pays for, and where it stops.

A message is counted, with its expected price, in the transaction that writes it, by one update that
only succeeds below the cap: fifty at once cannot pass it. What the gateway says it cost replaces the
expected price afterwards. Nothing is counted while messages stay in the house.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal

from portal.channels.sms import segments
from portal.errors import TooMany
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.notices import Notice, SmsUse
from portal.models.parties import Counterparty, LegalEntity
from portal.models.people import Person
from portal.services import audit, gateways, installation, permissions
from portal.services.audit import Actor

FACT = "sms_limits"
MILLION = 1_000_000
WARN_AT = 80  # percent
MONTH, DAY = "month", "day"


class SmsClosed(TooMany):
    """The installation's cap for text messages is reached; signers prove themselves another way."""

    def __init__(self, span: str, retry_after_s: int = 3600) -> None:
        super().__init__(
            _("We can send no more text messages at the moment. Use another way below."), retry_after_s
        )
        self.span = span


@dataclass(frozen=True)
class Limits:
    """What an administrator typed in; an amount of None is no limit on money.

    `countries` are two-letter codes; None means those of our companies and of the other parties.
    """

    price: Decimal = Decimal(0)  # of one part of a message, before the gateway says what it cost
    currency: str = "EUR"
    messages_a_month: int = 500
    messages_a_day: int = 100
    amount_a_month: Decimal | None = None
    countries: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Use:
    """What was used of a period, and what may be."""

    messages: int
    most_messages: int
    amount: Decimal
    most_amount: Decimal | None

    @property
    def percent(self) -> int:
        """Of whichever is nearer to its end."""
        shares = [self.messages * 100 // max(1, self.most_messages)]
        if self.most_amount is not None:
            shares.append(int(self.amount * 100 / max(self.most_amount, Decimal("0.01"))))
        return max(shares)


# --- The limits -----------------------------------------------------------------------------


def limits() -> Limits:
    kept = installation.fact(FACT)
    if kept is None:
        return Limits()
    most = kept["amount_a_month"]
    return Limits(
        price=Decimal(kept["price"]),
        currency=kept["currency"],
        messages_a_month=kept["messages_a_month"],
        messages_a_day=kept["messages_a_day"],
        amount_a_month=None if most is None else Decimal(most),
        countries=None if kept["countries"] is None else tuple(kept["countries"]),
    )


def set_limits(wanted: Limits, *, by: Actor, now: datetime) -> None:
    """Hold from now on; the page has checked what was typed."""
    kept = asdict(wanted) | {
        "price": str(wanted.price),
        "amount_a_month": None if wanted.amount_a_month is None else str(wanted.amount_a_month),
        "countries": None if wanted.countries is None else sorted(set(wanted.countries)),
    }
    with transaction():
        before = limits()
        installation.set_fact(FACT, kept, now)
        if before.currency != wanted.currency:
            SmsUse.update(cost_millionths=0).where(SmsUse.period == period(MONTH, now)).execute()
        open_again(wanted, now)
        audit.append(
            "sms_limits.changed", ("gateway", gateways.SMS), chain=audit.INSTALLATION, by=by, now=now,
            facts=kept,
        )  # fmt: skip


def open_again(wanted: Limits, now: datetime) -> None:
    """Where a raised cap lies above what is used, the next warning is news again."""
    for span in (MONTH, DAY):
        used = use(span, now, wanted).percent
        if used < 100:
            SmsUse.update(closed_at=None).where(SmsUse.period == period(span, now)).execute()
        if used < WARN_AT:
            SmsUse.update(warned_at=None).where(SmsUse.period == period(span, now)).execute()


def countries() -> frozenset[str]:
    """Where text messages may go: what was typed in, else where our companies and the other parties are."""
    typed = limits().countries
    if typed is not None:
        return frozenset(typed)
    rows = LegalEntity.select(LegalEntity.country).union(Counterparty.select(Counterparty.country))
    return frozenset(row.country for row in rows if row.country)


# --- Counting -----------------------------------------------------------------------------------


def period(span: str, now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m" if span == MONTH else "%Y-%m-%d")


def use(span: str, now: datetime, within: Limits | None = None) -> Use:
    """What was sent this month or day."""
    within = within or limits()
    row = SmsUse.get_or_none(SmsUse.period == period(span, now))
    return Use(
        row.messages if row else 0,
        within.messages_a_month if span == MONTH else within.messages_a_day,
        Decimal(max(0, row.cost_millionths) if row else 0) / MILLION,
        within.amount_a_month if span == MONTH else None,
    )


def is_closed(now: datetime) -> bool:
    """Whether no further message would be sent now; never while messages stay in the house."""
    if not gateways.in_force(gateways.SMS).is_real:
        return False
    within = limits()
    month, day = use(MONTH, now, within), use(DAY, now, within)
    is_spent = month.most_amount is not None and month.amount + within.price > month.most_amount
    return is_spent or month.messages >= month.most_messages or day.messages >= day.most_messages


def reserve(text: str, now: datetime) -> tuple[int, int]:
    """Count one message that is about to be written, inside the caller's transaction.

    Gives its parts and its expected cost in millionths. Raises SmsClosed, to be rolled back, at a cap.
    """
    within = limits()
    parts = segments.count(text)
    cost = int(within.price * parts * MILLION)
    for span in (MONTH, DAY):
        if not claimed(span, within, cost, now):
            raise SmsClosed(span)
    for span in (MONTH, DAY):
        warn(span, within, now)
    return parts, cost


def claimed(span: str, within: Limits, cost: int, now: datetime) -> bool:
    name, most = period(span, now), within.messages_a_month if span == MONTH else within.messages_a_day
    SmsUse.insert(period=name, messages=0, cost_millionths=0).on_conflict_ignore().execute()
    room = (SmsUse.period == name) & (SmsUse.messages < most)
    if span == MONTH and within.amount_a_month is not None:
        room &= SmsUse.cost_millionths + cost <= int(within.amount_a_month * MILLION)
    one_more = SmsUse.update(messages=SmsUse.messages + 1, cost_millionths=SmsUse.cost_millionths + cost)
    return bool(one_more.where(room).execute())


def settle(notice: Notice, price: Decimal | None, currency: str) -> None:
    """Put what a message really cost in place of what was expected; other currencies say nothing here."""
    if price is None or not notice.segments or currency != limits().currency:
        return
    correct(notice, int(price * MILLION))


def correct(notice: Notice, cost: int) -> None:
    """Change what one message cost, also in the sums of its month and day."""
    before = notice.cost_millionths
    changed = Notice.update(cost_millionths=cost).where(
        (Notice.id == notice.id) & (Notice.cost_millionths == before)
    )
    if cost == before or not changed.execute():
        return
    for span in (MONTH, DAY):
        SmsUse.update(cost_millionths=SmsUse.cost_millionths + (cost - before)).where(
            SmsUse.period == period(span, notice.created_at)
        ).execute()


# --- Telling ----------------------------------------------------------------------------------------


def warn(span: str, within: Limits, now: datetime) -> None:
    """Write to the administrators once when most of a period is used; inside the caller's transaction."""
    used = use(span, now, within)
    if used.percent < WARN_AT:
        return
    this = (SmsUse.period == period(span, now)) & SmsUse.warned_at.is_null()
    if SmsUse.update(warned_at=now).where(this).execute():
        tell("sms_near_limit", span, used, within, now)


def close(span: str, now: datetime) -> None:
    """Write to the administrators once that a cap is reached; inside the caller's transaction."""
    this = (SmsUse.period == period(span, now)) & SmsUse.closed_at.is_null()
    if SmsUse.update(closed_at=now).where(this).execute():
        within = limits()
        tell("sms_limit_reached", span, use(span, now, within), within, now)


def tell(kind: str, span: str, used: Use, within: Limits, now: datetime) -> None:
    from portal.services import notices

    for each in permissions.who_may("installation.edit"):
        person = Person.get_by_id(each.id)
        notices.queue(
            kind, address=person.email, name=person.name, language=person.language, zone=person.zone,
            now=now, person_id=person.id,
            context={"span": span, "use": used, "currency": within.currency,
                     "link": notices.url("/settings/text-messages")},
        )  # fmt: skip
