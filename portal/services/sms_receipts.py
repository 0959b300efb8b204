"""What became of text messages: reports that gateways send, and looking it up where they cannot.

A report is proved over its raw bytes before anything in it is read. Doubles, old ones and those about
no message of ours change nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from portal.channels import Unavailable, sms
from portal.channels.sms.interface import BadSignature, Call, Receipt, SmsGateway
from portal.errors import NotAllowed, NotFound
from portal.models.base import transaction
from portal.models.notices import Notice
from portal.services import deliveries, gateways, installation, jobs, sms_use

MOST_LOOKS = 10

log = logging.getLogger(__name__)


def gateway() -> SmsGateway | None:
    """The text message gateway in force; None while messages stay in the house."""
    found = gateways.in_force(gateways.SMS)
    if not found.is_real:
        return None
    return sms.gateway(found.url, gateways.receipts_at(sms.kind_of(found.url)))


def take(kind: str, path: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """A report that arrived at `path`. Raises NotFound where this gateway is not in force, NotAllowed
    where it did not write the report."""
    asked = gateway()
    if asked is None or asked.name != kind:
        raise NotFound()
    call = Call(f"{installation.address()}{path}", headers, body)
    try:
        receipt = asked.receipt(call, now)
    except BadSignature as error:
        log.warning("sms: a report for %s is not signed by it", kind)
        raise NotAllowed() from error
    if receipt is not None:
        take_in(receipt, now)


def take_in(receipt: Receipt, now: datetime) -> None:
    """Keep what a receipt says: the price, and what became of the message."""
    with transaction():
        this = (Notice.id == receipt.message_id) & (Notice.channel == gateways.SMS)
        notice = Notice.get_or_none(this)
        if notice is None:
            log.warning("sms: a report about no message of ours is left alone")
            return
        sms_use.settle(notice, receipt.price, receipt.currency)
        if receipt.outcome:
            deliveries.report(notice.id, receipt.outcome, reason=receipt.reason, now=now)


@jobs.handler("follow_text_message")
def follow(payload: dict[str, Any], context: jobs.Context) -> None:
    """Ask what became of one message, with growing waits, until that and its price are known."""
    notice, asked = Notice.get_or_none(Notice.id == payload["notice"]), gateway()
    if notice is None or asked is None or asked.name != notice.gateway or not notice.remote_id:
        return
    is_last = context.attempts >= MOST_LOOKS
    try:
        receipt = asked.look_up(notice.remote_id)
    except Unavailable as error:
        if is_last:
            return
        raise jobs.Retry(str(error), error.after) from error
    take_in(replace(receipt, message_id=notice.id), context.clock())
    if (receipt.price is None or not receipt.outcome) and not is_last:
        raise jobs.Retry("the gateway does not know yet")
