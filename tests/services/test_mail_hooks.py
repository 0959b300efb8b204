"""Calls of mail services: believed with their proof, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from portal.channels.mail_services import Forged
from portal.errors import Invalid, NotFound
from portal.models.audit import InstallationFact
from portal.models.jobs import Job
from portal.models.notices import MailCall, Notice
from portal.services import mail_hooks
from portal.services.audit import SYSTEM

ID, OTHER = "0123456789abcdefghjk", "zzzzzzzzzzzzzzzzzzzz"
CLAIRE = "claire@castellan.example"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
SUBSCRIBE = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=1"
SECONDS = timedelta(seconds=1)


class Amazon:
    """Signs as SNS does; its certificate lies at one address."""

    key = TOPIC

    def __init__(self):
        self.private = rsa.generate_private_key(65537, 2048)

    def pem(self, now):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(self.private.public_key()).serial_number(7)
            .not_valid_before(now - timedelta(days=9)).not_valid_after(now + timedelta(days=9))
            .sign(self.private, hashes.SHA256())
        )  # fmt: skip
        return made.public_bytes(serialization.Encoding.PEM)

    def body(self, outcome, now, number="m1", identity=ID, to=CLAIRE):
        mail = {"messageId": "0100-ses", "headers": [{"name": "X-Countersign-Id", "value": identity}]}
        person = {"emailAddress": to, "status": "5.1.1", "diagnosticCode": "550 no such user"}
        event = {
            "returned": {
                "eventType": "Bounce",
                "bounce": {"bounceType": "Permanent", "bouncedRecipients": [person]},
            },
            "delivered": {"eventType": "Delivery", "delivery": {"recipients": [to]}},
            "delayed": {"eventType": "DeliveryDelay", "deliveryDelay": {"delayedRecipients": [person]}},
            "ignored": {"eventType": "Open"},
        }[outcome]
        return {
            "Type": "Notification", "MessageId": number, "TopicArn": TOPIC, "SigningCertURL": CERTIFICATE,
            "Message": json.dumps({**event, "mail": mail}), "SignatureVersion": "2",
            "Timestamp": now.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip

    def call(self, outcome, now, **values):
        return self.signed(self.body(outcome, now, **values))

    def signed(self, body):
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{body[name]}\n" for name in names if name in body)
        digest = hashes.SHA256() if body["SignatureVersion"] == "2" else hashes.SHA1()
        signature = self.private.sign(text.encode(), padding.PKCS1v15(), digest)
        return {}, json.dumps(body | {"Signature": base64.b64encode(signature).decode()}).encode()


class Mailgun:
    key = "key-0123456789abcdef0123"

    def call(self, outcome, now, number="t1", identity=ID, to=CLAIRE, key=None):
        stamp = str(int(now.timestamp()))
        word = {"returned": "failed", "delayed": "failed", "delivered": "delivered", "ignored": "opened"}[
            outcome
        ]
        event = {
            "event": word, "severity": "temporary" if outcome == "delayed" else "permanent", "recipient": to,
            "user-variables": {"countersign_id": identity},
            "delivery-status": {"code": 550, "message": "5.1.1 no such user"},
        }  # fmt: skip
        proof = hmac.new((key or self.key).encode(), f"{stamp}{number}".encode(), hashlib.sha256).hexdigest()
        signature = {"timestamp": stamp, "token": number, "signature": proof}
        return {}, json.dumps({"signature": signature, "event-data": event}).encode()


class SendGrid:
    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        public = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key = base64.b64encode(public).decode()

    def call(self, outcome, now, number="s1", identity=ID, to=CLAIRE):
        word = {"returned": "bounce", "delayed": "deferred", "delivered": "delivered", "ignored": "open"}[
            outcome
        ]
        event = {"event": word, "email": to, "countersign_id": identity, "status": "5.1.1",
                 "reason": "550 no such user", "sg_event_id": number}  # fmt: skip
        raw, stamp = json.dumps([event]).encode(), str(int(now.timestamp()))
        signature = self.private.sign(stamp.encode() + raw, ec.ECDSA(hashes.SHA256()))
        prefix = "X-Twilio-Email-Event-Webhook"
        return {
            f"{prefix}-Timestamp": stamp,
            f"{prefix}-Signature": base64.b64encode(signature).decode(),
        }, raw


class Postmark:
    key = "a long password of my own choosing"

    def call(self, outcome, now, number="p1", identity=ID, to=CLAIRE, key=None):
        kinds = {
            "returned": {
                "RecordType": "Bounce",
                "Type": "HardBounce",
                "Email": to,
                "Details": "550 5.1.1 none",
            },
            "delayed": {"RecordType": "Bounce", "Type": "Transient", "Email": to, "Details": "450 later"},
            "delivered": {"RecordType": "Delivery", "Recipient": to},
            "ignored": {"RecordType": "Bounce", "Type": "AutoResponder", "Email": to},
        }
        body = kinds[outcome] | {"Metadata": {"countersign-id": identity}, "ID": number}
        login = base64.b64encode(f"countersign:{key or self.key}".encode()).decode()
        return {"Authorization": f"Basic {login}"}, json.dumps(body).encode()


class Standard:
    key = "whsec_" + base64.b64encode(b"thirty-two bytes of much secrecy").decode()

    def call(self, outcome, now, number="w1", identity=ID, to=CLAIRE, prefix="svix"):
        word = {
            "returned": "bounced",
            "delayed": "delivery_delayed",
            "delivered": "delivered",
            "ignored": "opened",
        }
        told = {"to": [to], "headers": [{"name": "X-Countersign-Id", "value": identity}],
                "bounce": {"message": "550 5.1.1 no such user"}}  # fmt: skip
        raw = json.dumps({"type": f"email.{word[outcome]}", "data": told}).encode()
        stamp = str(int(now.timestamp()))
        secret = base64.b64decode(self.key.removeprefix("whsec_"))
        digest = hmac.new(secret, f"{number}.{stamp}.".encode() + raw, hashlib.sha256).digest()
        headers = {"id": number, "timestamp": stamp, "signature": f"v1,{base64.b64encode(digest).decode()}"}
        return {f"{prefix}-{name}": value for name, value in headers.items()}, raw


SERVICES = {
    "ses": Amazon,
    "mailgun": Mailgun,
    "sendgrid": SendGrid,
    "postmark": Postmark,
    "standard": Standard,
}

SIGNING = [name for name in SERVICES if name != "postmark"]  # which is proved by a password alone


@pytest.fixture(scope="module")
def made():
    return {name: kind() for name, kind in SERVICES.items()}


@pytest.fixture(params=list(SERVICES))
def service(request, home, now, made, monkeypatch):
    """One service, set up; Amazon's certificate lies where it says."""
    name = request.param
    mail_hooks.connect(name, made[name].key, by=SYSTEM, now=now)
    pem = made["ses"].pem(now)

    def certificate(url):
        assert url == CERTIFICATE, f"asked for {url}"
        return pem

    monkeypatch.setattr(mail_hooks, "certificate", certificate)
    return name, made[name]


@pytest.fixture
def notice(home, now):
    return Notice.create(
        id=ID, channel="mail", kind="sign_request", address=CLAIRE, status="sent", created_at=now,
        sent_at=now,
        gateway="smtp",
    )  # fmt: skip


def state():
    """All that a call could change."""
    return list(Notice.select().order_by(Notice.id).dicts()), MailCall.select().count(), Job.select().count()


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("returned", "returned"), ("delivered", "delivered"), ("delayed", "sent"), ("ignored", "sent")],
)
def test_what_a_service_tells_shows_on_the_message(service, notice, now, outcome, status):
    name, calls = service
    mail_hooks.receive(name, *calls.call(outcome, now), now)

    kept = Notice.get_by_id(ID)
    assert kept.status == status
    assert bool(kept.failure) == (outcome in ("returned", "delayed"))
    assert kept.settled_at == (now if status != "sent" else None)


def test_the_same_call_many_times_changes_nothing_more(service, notice, now):
    name, calls = service
    call = calls.call("returned", now)
    assert mail_hooks.receive(name, *call, now) == 1
    before = state()

    assert [mail_hooks.receive(name, *call, now + n * SECONDS) for n in range(100)] == [0] * 100
    assert state() == before


def test_a_token_does_not_prove_another_body(home, now, notice, made):
    """Mailgun's signature covers time and token alone."""
    mail_hooks.connect("mailgun", Mailgun.key, by=SYSTEM, now=now)
    mail_hooks.receive("mailgun", *made["mailgun"].call("ignored", now), now)

    assert mail_hooks.receive("mailgun", *made["mailgun"].call("returned", now), now) == 0
    assert Notice.get_by_id(ID).status == "sent"


@pytest.mark.parametrize("service", SIGNING, indirect=True)
def test_any_changed_byte_is_refused(service, notice, now):
    """Of Mailgun's proof, since it covers no more; of everybody else's whole body."""
    name, calls = service
    headers, raw = calls.call("returned", now)
    before = state()
    end = raw.index(b"}") if name == "mailgun" else len(raw)
    for place in range(1, end, 3):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        try:
            mail_hooks.receive(name, headers, changed, now)
        except (Forged, AssertionError):
            continue
        assert is_equivalent(raw, changed), f"byte {place}: {changed[place - 20 : place + 20]!r}"
    assert state()[0] == before[0]


def is_equivalent(raw, changed):
    """A changed byte outside of what is signed, such as the version of an unread field's name."""
    signed = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    try:
        one, other = json.loads(raw), json.loads(changed)
    except ValueError:
        return False
    return all(one.get(name) == other.get(name) for name in signed)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic !!"}, {"svix-id": "1", "svix-signature": "v1,"}]
)
def test_a_call_without_a_proof_is_refused(service, notice, now, headers):
    name, calls = service
    _headers, raw = calls.call("returned", now)
    before = state()
    bare = raw
    if name == "ses":
        bare = json.dumps({k: v for k, v in json.loads(raw).items() if k != "Signature"}).encode()
    elif name == "mailgun":
        bare = json.dumps({"event-data": json.loads(raw)["event-data"]}).encode()

    for body in (bare, b"", b"null", b"[]", b"{", b"\xff", b"[" * 5000):
        with pytest.raises(Forged):
            mail_hooks.receive(name, headers, body, now)
    assert state() == before


@pytest.mark.parametrize("service", SIGNING, indirect=True)
@pytest.mark.parametrize("shift", [-timedelta(hours=2), timedelta(hours=2)])
def test_a_call_of_another_time_is_refused(service, notice, now, shift):
    name, calls = service
    before = state()

    with pytest.raises(Forged):
        mail_hooks.receive(name, *calls.call("returned", now + shift), now)
    assert state() == before


def test_another_key_proves_nothing(service, notice, now):
    name, _calls = service
    others = {
        "mailgun": lambda: Mailgun().call("returned", now, key="another key, much like it"),
        "postmark": lambda: Postmark().call("returned", now, key="another password, as long"),
    }
    other = SERVICES[name]()
    if name == "standard":
        other.key = "whsec_" + base64.b64encode(b"another secret of thirty-two byt").decode()
    before = state()

    with pytest.raises(Forged):
        mail_hooks.receive(name, *others.get(name, lambda: other.call("returned", now))(), now)
    assert state() == before


@pytest.mark.parametrize(("identity", "to"), [(OTHER, CLAIRE), (ID, "marc@castellan.example"), ("", CLAIRE)])
def test_a_report_that_fits_no_message_changes_none(service, notice, now, identity, to):
    name, calls = service

    assert mail_hooks.receive(name, *calls.call("returned", now, identity=identity, to=to), now) == 0
    assert Notice.get_by_id(ID).status == "sent"


def test_a_service_that_is_not_set_up_is_not_there(home, now, made, notice):
    for name, calls in made.items():
        with pytest.raises(NotFound):
            mail_hooks.receive(name, *calls.call("returned", now), now)
    with pytest.raises(NotFound):
        mail_hooks.receive("invented", {}, b"{}", now)


def test_a_call_that_is_too_long_is_refused(service, now):
    name, _calls = service
    with pytest.raises(Forged):
        mail_hooks.receive(name, {}, b"x" * (mail_hooks.LONGEST_CALL + 1), now)


@pytest.mark.parametrize("prefix", ["svix", "webhook"])
def test_standard_webhooks_by_either_name(home, now, notice, made, prefix):
    mail_hooks.connect("standard", Standard.key, by=SYSTEM, now=now)

    assert mail_hooks.receive("standard", *made["standard"].call("delivered", now, prefix=prefix), now) == 1


# --- Amazon ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com/elsewhere.pem",
        "https://127.0.0.1/SimpleNotificationService-0123456789abcdef.pem",
        "file:///etc/passwd",
        "",
    ],
)
def test_certificates_are_fetched_from_amazon_alone(home, now, notice, made, url, monkeypatch):
    mail_hooks.connect("ses", TOPIC, by=SYSTEM, now=now)
    asked = []
    monkeypatch.setattr(mail_hooks, "certificate", lambda where: asked.append(where) or b"")
    body = made["ses"].body("returned", now) | {"SigningCertURL": url}

    with pytest.raises(Forged):
        mail_hooks.receive("ses", *made["ses"].signed(body), now)
    assert asked == []


def test_another_topic_may_not_speak(home, now, notice, made):
    mail_hooks.connect("ses", TOPIC + "-other", by=SYSTEM, now=now)

    with pytest.raises(Forged):
        mail_hooks.receive("ses", *made["ses"].call("returned", now), now)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    ("url", "is_confirmed"),
    [(SUBSCRIBE, True), (SUBSCRIBE.replace("sns.eu-west-1.amazonaws.com", "evil.example"), False)],
)
def test_a_subscription_is_confirmed_by_a_job_at_amazon_alone(
    home, now, made, monkeypatch, url, is_confirmed, version
):
    mail_hooks.connect("ses", TOPIC, by=SYSTEM, now=now)
    monkeypatch.setattr(mail_hooks, "certificate", lambda where: made["ses"].pem(now))
    body = made["ses"].body("ignored", now) | {
        "Type": "SubscriptionConfirmation", "Token": "1", "SubscribeURL": url, "SignatureVersion": version,
    }  # fmt: skip
    call = made["ses"].signed(body)

    if is_confirmed:
        mail_hooks.receive("ses", *call, now)
        mail_hooks.receive("ses", *call, now)
    else:
        with pytest.raises(Forged):
            mail_hooks.receive("ses", *call, now)
    assert Job.select().where(Job.kind == "confirm_mail_topic").count() == int(is_confirmed)
    assert "Token" not in str([each.payload for each in Job.select()])


def test_an_absence_told_by_amazon_is_no_return(home, now, notice, made, monkeypatch):
    mail_hooks.connect("ses", TOPIC, by=SYSTEM, now=now)
    monkeypatch.setattr(mail_hooks, "certificate", lambda where: made["ses"].pem(now))
    body = made["ses"].body("returned", now)
    event = json.loads(body["Message"])
    event["bounce"] = {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": CLAIRE}]}

    mail_hooks.receive("ses", *made["ses"].signed(body | {"Message": json.dumps(event)}), now)
    assert Notice.get_by_id(ID).status == "sent"


# --- Keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key"),
    [("ses", "arn:aws:s3:::bucket"), ("mailgun", "short"), ("sendgrid", "MFkwnot"), ("postmark", "short"),
     ("standard", "whsec_short"), ("postmark", "é" * 30), ("ses", TOPIC + "\n")],
)  # fmt: skip
def test_what_cannot_be_a_key_is_refused_beside_its_field(home, now, name, key):
    with pytest.raises(Invalid) as raised:
        mail_hooks.connect(name, key, by=SYSTEM, now=now)

    assert set(raised.value.errors) == {"key"}


def test_keys_are_kept_encrypted_and_can_be_taken_away(service, now, notice):
    name, calls = service
    assert calls.key not in str([each.value for each in InstallationFact.select()])
    mail_hooks.disconnect(name, by=SYSTEM, now=now)

    with pytest.raises(NotFound):
        mail_hooks.receive(name, *calls.call("returned", now), now)


def test_old_calls_are_forgotten(home, now, run_jobs):
    from portal.services import jobs

    for age in (1, 40):
        MailCall.create(key=f"ses:{age}", seen_at=now - timedelta(days=age))
    run_jobs(now)
    jobs.add("forget_mail_calls", now=now)
    run_jobs(now)

    assert [each.key for each in MailCall.select()] == ["ses:1"]
