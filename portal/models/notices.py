"""Mails and text messages. Bodies are encrypted, since they carry links and codes."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField


class Notice(KeyedModel):
    channel = peewee.TextField()  # mail | sms
    kind = peewee.TextField()  # invitation, sign_request, code, reminder, completed ...
    contract_id = peewee.TextField(null=True, index=True)
    recipient_id = peewee.TextField(null=True, index=True)
    person_id = peewee.TextField(null=True)
    sender_id = peewee.TextField(default="", index=True)  # whose act it was; empty for the portal
    address = peewee.TextField(index=True)  # mail address or E.164 number
    name = peewee.TextField(default="")
    language = peewee.TextField(default="en")
    subject = peewee.TextField(default="")
    text = peewee.TextField(default="")  # encrypted; emptied once a gateway has taken it
    html = peewee.TextField(default="")  # encrypted; emptied likewise
    attachments = JsonField(default=list)  # document ids
    # queued | sent (a gateway took it) | delivered (it says) | returned (it came back) | failed (never taken)
    status = peewee.TextField(default="queued")
    failure = peewee.TextField(default="")  # why it failed or came back; why it still waits
    attempts = peewee.IntegerField(default=0)
    created_at = UtcField(index=True)
    sent_at = UtcField(null=True)
    gateway = peewee.TextField(default="")  # the kind that took it: smtp, twilio ...
    remote_id = peewee.TextField(default="", index=True)  # the gateway's own number
    useful_until = UtcField(null=True)  # no longer sent after this
    settled_at = UtcField(null=True)  # when it was delivered, returned or given up
    # Whether the last try may have been taken without our learning it, and how often one was made after such.
    is_unsure = peewee.BooleanField(default=False)
    repeats = peewee.IntegerField(default=0)
    segments = peewee.IntegerField(default=0)  # of a text message that leaves the house
    cost_millionths = peewee.BigIntegerField(default=0)  # of one unit of the currency the limits are in

    class Meta:
        indexes = ((("status", "created_at"), False), (("channel", "status"), False))


class MailCall(Model):
    """A mail service's call that was taken in: the same one again changes nothing."""

    key = peewee.TextField(primary_key=True)  # the service and its own number of the call
    seen_at = UtcField(index=True)


class SmsUse(Model):
    """The text messages of one month or day, counted before each is sent."""

    period = peewee.TextField(primary_key=True)  # 2026-11, or 2026-11-23; in UTC
    messages = peewee.IntegerField(default=0)
    cost_millionths = peewee.BigIntegerField(default=0)
    warned_at = UtcField(null=True)  # when administrators heard that most of it is used
    closed_at = UtcField(null=True)  # when they heard that all of it is
