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

    class Meta:
        indexes = ((("status", "created_at"), False), (("channel", "status"), False))


class MailCall(Model):
    """A mail service's call that was taken in: the same one again changes nothing."""

    key = peewee.TextField(primary_key=True)  # the service and its own number of the call
    seen_at = UtcField(index=True)
