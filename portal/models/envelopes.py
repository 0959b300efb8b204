"""What was sent for signature, to whom, and what each did."""

from __future__ import annotations

import peewee

from portal.models.base import JsonField, KeyedModel, Model, UtcField
from portal.models.connections import Connection
from portal.models.contracts import Contract, Document, Revision
from portal.models.people import Person


class Envelope(KeyedModel):
    contract = peewee.ForeignKeyField(Contract, backref="envelopes")
    revision = peewee.ForeignKeyField(Revision, null=True)
    document = peewee.ForeignKeyField(Document)  # exactly what everyone is shown
    provider = peewee.TextField(default="builtin")
    connection = peewee.ForeignKeyField(Connection, null=True, backref="envelopes")  # null: built-in
    remote_id = peewee.TextField(null=True, index=True)
    handed_at = UtcField(null=True)  # the first attempt to send: the provider may know it from then on
    problem = peewee.TextField(default="")  # why the provider has not done what was asked, for our side
    raw_status = peewee.TextField(default="")  # the provider's own word
    # Asked for and not yet done at the provider: {"kind": "voided" | "expired", "reason", "by": [kind, id]}
    withdrawal = JsonField(null=True)
    polled_at = UtcField(null=True)
    next_poll_at = UtcField(null=True, index=True)
    # queued | sent | completed | declined | voided | expired
    status = peewee.TextField(default="queued", index=True)
    # none | pending | incomplete (sealed, but an outside time is still missing) | sealed | failed
    seal_status = peewee.TextField(default="none", index=True)
    seal_problem = peewee.TextField(default="")  # why sealing did not work, for our side
    executed = peewee.ForeignKeyField(Document, null=True)
    # Signed by a provider: its own certificate or audit file, and our sealed record of evidence.
    vendor_evidence = peewee.ForeignKeyField(Document, null=True)
    companion = peewee.ForeignKeyField(Document, null=True)
    replaces = peewee.ForeignKeyField("self", null=True)  # voided at one provider, sent again at another
    message = peewee.TextField(default="")
    sender = peewee.ForeignKeyField(Person)
    created_at = UtcField()
    sent_at = UtcField(null=True)
    expires_at = UtcField()
    ended_at = UtcField(null=True)
    ended_reason = peewee.TextField(default="")

    class Meta:
        # A provider's envelope belongs to one of ours.
        indexes = ((("connection", "remote_id"), True),)


class Recipient(KeyedModel):
    envelope = peewee.ForeignKeyField(Envelope, backref="recipients", on_delete="CASCADE")
    key = peewee.TextField()  # as in the contract's list and in the document's placements
    side = peewee.TextField()  # ours | theirs
    role = peewee.TextField()  # signer | approver | copy
    routing_order = peewee.IntegerField(default=1)
    name = peewee.TextField()
    email = peewee.TextField(index=True)
    title = peewee.TextField(default="")
    organisation = peewee.TextField(default="")
    phone = peewee.TextField(default="")
    phone_from = UtcField(null=True)  # a number mended after sending gets codes only from then on
    language = peewee.TextField(default="en")
    is_consumer = peewee.BooleanField(default=False)
    person = peewee.ForeignKeyField(Person, null=True)
    factors = JsonField(default=list)  # required besides the link: "sms" and/or "totp"
    factor_reasons = JsonField(default=list)  # sentences for the sender
    # Of those: checked by the provider itself, and by our gate in front of it.
    native_factors = JsonField(default=list)
    is_embedded = peewee.BooleanField(default=False)  # signs at the provider behind our gate, unmailed by it
    # What our gate had checked when it last let them through: {"at", "factors", "address", "user_agent"}
    gate = JsonField(null=True)
    remote_id = peewee.TextField(default="")
    raw_status = peewee.TextField(default="")  # the provider's own word
    # created | waiting (not their turn) | sent | opened | signed | approved | declined | copied
    status = peewee.TextField(default="created")
    # undelivered | not_mine (the number) | not_for_me | consent_withdrawn | not_reminded | not_corrected
    # (the provider did not do it): shown to the owner
    problem = peewee.TextField(default="")
    asked_at = UtcField(null=True)
    opened_at = UtcField(null=True)
    acted_at = UtcField(null=True)
    next_reminder_at = UtcField(null=True)
    reminders = peewee.IntegerField(default=0)
    session_epoch = peewee.IntegerField(default=1)
    app_tries = peewee.IntegerField(default=0)  # wrong codes of an authenticator app, in all

    class Meta:
        indexes = (
            (("envelope", "key"), True),
            (("envelope", "routing_order"), False),
            (("next_reminder_at",), False),
            (("person", "status"), False),
        )


class LinkToken(Model):
    """A mailed signing link; only its SHA-256 is kept."""

    sha256 = peewee.TextField(primary_key=True)
    recipient = peewee.ForeignKeyField(Recipient, backref="link_tokens", on_delete="CASCADE")
    purpose = peewee.TextField()  # sign | copy
    created_at = UtcField()
    expires_at = UtcField()
    ended_at = UtcField(null=True)


class InvitationCode(Model):
    """A short code that does once what a link does, kept as HMAC with its recipient."""

    id = peewee.AutoField()
    recipient = peewee.ForeignKeyField(Recipient, backref="invitation_codes", on_delete="CASCADE")
    way = peewee.TextField()  # mail | told (read out by telephone)
    code_hmac = peewee.TextField()
    created_by = peewee.ForeignKeyField(Person, null=True)  # who reads it out
    created_at = UtcField()
    expires_at = UtcField()
    used_at = UtcField(null=True)
    ended_at = UtcField(null=True)


class Right(Model):
    """What one browser session may do for one recipient, and which factors it has passed."""

    session_sha256 = peewee.TextField()
    recipient = peewee.ForeignKeyField(Recipient, backref="rights", on_delete="CASCADE")
    purpose = peewee.TextField(default="sign")
    factors_met = JsonField(default=dict)  # factor, or way in (link, mail_code, told_code) -> ISO time
    draft = JsonField(default=dict)  # typed name, title, drawn path: kept until the confirm
    read_at = UtcField(null=True)
    granted_at = UtcField()
    expires_at = UtcField()

    class Meta:
        primary_key = peewee.CompositeKey("session_sha256", "recipient")


class Consent(Model):
    """Consent to electronic records: the exact text, by hash, and how it was shown to work."""

    recipient = peewee.ForeignKeyField(Recipient, backref="consents", on_delete="CASCADE")
    version = peewee.TextField()
    language = peewee.TextField()
    text_sha256 = peewee.TextField()
    text = peewee.TextField(default="")  # word for word as it was shown
    demonstration = peewee.TextField()  # reading_pages | word_typed; empty until it was given
    given_at = UtcField()
    withdrawn_at = UtcField(null=True)


class Act(Model):
    """What a recipient did, once: signing, approving or declining."""

    envelope = peewee.ForeignKeyField(Envelope, backref="acts")
    recipient = peewee.ForeignKeyField(Recipient, backref="acts")
    kind = peewee.TextField()  # sign | approve | decline
    at = UtcField()
    document_sha256 = peewee.TextField()
    name = peewee.TextField(default="")
    title = peewee.TextField(default="")
    intent = peewee.TextField(default="")  # the sentence beside the button, word for word
    authority = peewee.TextField(default="")  # "I am authorised to bind ...", word for word
    signature_kind = peewee.TextField(default="")  # typed | drawn
    signature_path = peewee.TextField(default="")  # SVG path of a drawn one
    reason = peewee.TextField(default="")
    factors = JsonField(default=list)  # what was checked, in evidence words
    address = peewee.TextField(default="")
    user_agent = peewee.TextField(default="")

    class Meta:
        indexes = ((("envelope", "recipient"), True),)


class SmsCode(Model):
    """A code sent to a phone, hashed with its recipient; five tries, ten minutes, once."""

    recipient = peewee.ForeignKeyField(Recipient, backref="sms_codes", on_delete="CASCADE")
    code_sha256 = peewee.TextField()
    sent_at = UtcField()
    expires_at = UtcField()
    tries = peewee.IntegerField(default=0)
    used_at = UtcField(null=True)


class OutsideFactor(KeyedModel):
    """An outside signer's authenticator app. Belongs to (counterparty, address)."""

    counterparty_id = peewee.TextField()
    email = peewee.TextField()
    secret = peewee.TextField()  # encrypted
    last_step = peewee.IntegerField(default=0)
    failures = peewee.IntegerField(default=0)
    enrolled_at = UtcField(null=True)  # null until the first right code
    enrolled_envelope_id = peewee.TextField(null=True)
    proof = peewee.TextField(default="")  # mail_and_sms | mail_and_handed_code | after_signing | replaced
    active_from = UtcField()
    ended_at = UtcField(null=True)
    created_at = UtcField()

    class Meta:
        indexes = ((("counterparty_id", "email"), False),)


class EnrolmentCode(Model):
    """A one-time code the owner hands over by another channel, for people without a phone."""

    recipient = peewee.ForeignKeyField(Recipient, on_delete="CASCADE")
    code_sha256 = peewee.TextField()
    created_by = peewee.ForeignKeyField(Person)
    created_at = UtcField()
    expires_at = UtcField()
    tries = peewee.IntegerField(default=0)
    used_at = UtcField(null=True)


class Task(KeyedModel):
    """Something our side must do for a recipient: paper asked for, a number that is wrong, a new phone."""

    contract = peewee.ForeignKeyField(Contract, on_delete="CASCADE", backref="tasks")
    recipient = peewee.ForeignKeyField(Recipient, null=True, on_delete="CASCADE")
    kind = peewee.TextField()  # paper | wrong_number | not_for_me | new_phone | question
    text = peewee.TextField(default="")
    created_at = UtcField()
    due_at = UtcField(null=True)
    done_at = UtcField(null=True)

    class Meta:
        indexes = ((("done_at", "created_at"), False),)


class PolicyRule(KeyedModel):
    """When its condition holds, each person on the named side must pass the factor."""

    position = peewee.IntegerField(default=0)
    name = peewee.TextField()
    # {"value_over": "500000.00", "currency": "EUR"} | {"months_over": 36} | {"phi": true}
    # | {"liability_over": "..."} | {"flag": "..."} | {} (always)
    condition = JsonField()
    applies_to = peewee.TextField(default="theirs")  # ours | theirs | both
    factor = peewee.TextField()  # sms | totp | sms_or_totp
    is_active = peewee.BooleanField(default=True)
    updated_at = UtcField()
