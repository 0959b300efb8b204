"""One conversation with one mail server, bounded as a whole, and what each answer means.

A server may say no at any step, say "later", fall silent or hang up. What it said, and at which step,
decides: a recipient or a text that is refused is refused for good; a server that refuses *us* is
mended by an administrator, so the message waits.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from ipaddress import ip_address

from portal.channels import Rejected, Unavailable

SECONDS = 45  # a whole conversation; shorter than the lease of the job that holds it
LONGEST_SILENCE = 20
GREYLISTED = timedelta(seconds=60)
# Words of servers that refuse everybody who has not signed in: our settings are at fault, not the reader.
NOT_OURS = re.compile(r"relay|authenticat|sign.?in|log.?in|not permitted to send", re.IGNORECASE)
GREY = re.compile(r"gr[ae]y.?list|try again (?:later|in)", re.IGNORECASE)
QUEUED_AS = re.compile(
    r"(?:queued as|queued mail for delivery|id=|^2\.\d\.\d ok:?|^ok)\s*:?\s*([\w.@<>-]{8,120})", re.I
)

CONNECT, TLS, LOGIN, SENDER, RECIPIENT, TEXT = "connect", "tls", "login", "sender", "recipient", "text"
REQUIRED, OPPORTUNISTIC, IMPLICIT, NONE = "required", "opportunistic", "implicit", "none"


class Trouble(Unavailable):
    """Why a server could not be used, and at which step: `step` is one of the words above."""

    def __init__(self, step: str, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason, after)
        self.step = step


@dataclass(frozen=True)
class Server:
    """Where a mail server listens, how the line is protected, and as whom we sign in."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    encryption: str = OPPORTUNISTIC

    def deliver(self, mail: EmailMessage, sender: str, to: str) -> str:
        """Hand one mail over; the server's own number for it, or "". Raises Trouble or Rejected.

        Once the server has said yes nothing that happens to the line matters any more. When the line
        breaks before its answer the mail may have been taken: it is sent again under the same id.
        """
        with self.opened(SECONDS) as line:
            wide = not to.isascii()
            if wide and not line.has_extn("smtputf8"):
                raise Rejected("553 5.6.7 the mail server cannot take an address with these letters")
            content = mail.as_bytes(policy=SMTPUTF8 if wide else SMTP)
            self._say(line, SENDER, *line.mail(sender, sender_options(line, mail, wide, len(content))))
            options = ["NOTIFY=FAILURE,DELAY"] if line.has_extn("dsn") else []
            self._say(line, RECIPIENT, *line.rcpt(to, options))
            with steps(TEXT):
                code, said = line.data(content)
            return own_number(self._say(line, TEXT, code, said))

    def try_out(self, seconds: float) -> None:
        """Connect, encrypt, sign in, and hang up without a mail. Raises Trouble."""
        with self.opened(seconds):
            pass

    def _say(self, line: smtplib.SMTP, step: str, code: int, said: bytes) -> str:
        words = said.decode(errors="replace")
        if 200 <= code < 300:
            return words
        raise refusal(step, code, words)

    # --- The line ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def opened(self, seconds: float) -> Iterator[smtplib.SMTP]:
        """A line that is encrypted and signed in, closed for good when `seconds` are over."""
        ends_at = time.monotonic() + seconds
        line = self._connected(min(seconds, LONGEST_SILENCE))
        cut = threading.Timer(max(0.1, ends_at - time.monotonic()), hang_up, [line])
        cut.daemon = True
        cut.start()
        try:
            self._encrypted(line)
            if self.user:
                self._signed_in(line)
            with steps(SENDER):
                yield line
        finally:
            cut.cancel()
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if line.sock is not None:
                    line.sock.settimeout(1)
                    line.quit()
            line.close()

    def _connected(self, seconds: float) -> smtplib.SMTP:
        with steps(TLS if self.encryption == IMPLICIT else CONNECT):
            if self.encryption == IMPLICIT:
                return smtplib.SMTP_SSL(self.host, self.port, timeout=seconds, context=trust())
            return smtplib.SMTP(self.host, self.port, timeout=seconds)

    def _encrypted(self, line: smtplib.SMTP) -> None:
        with steps(CONNECT):
            line.ehlo_or_helo_if_needed()
        if self.encryption in (IMPLICIT, NONE):
            self._demand_safe_password(line)
            return
        if line.has_extn("starttls"):
            with steps(TLS):
                line.starttls(context=trust())
                line.ehlo()
        elif self.encryption == REQUIRED:
            raise Trouble(TLS, "the mail server offers no encryption")
        self._demand_safe_password(line)

    def _demand_safe_password(self, line: smtplib.SMTP) -> None:
        if self.user and not isinstance(line.sock, ssl.SSLSocket) and not is_loopback(self.host):
            raise Trouble(TLS, "the mail server offers no encryption, so the password stays here")

    def _signed_in(self, line: smtplib.SMTP) -> None:
        try:
            with steps(LOGIN):
                line.login(self.user, self.password)
        except smtplib.SMTPNotSupportedError as error:
            raise Trouble(LOGIN, "the mail server offers no way to sign in") from error


def trust() -> ssl.SSLContext:
    """Certificates are checked against what this machine trusts, names too; TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def hang_up(line: smtplib.SMTP) -> None:
    """End a conversation from outside: whoever waits for the server wakes up with an error."""
    with contextlib.suppress(OSError, AttributeError):
        line.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]


@contextlib.contextmanager
def steps(step: str) -> Iterator[None]:
    """Whatever the library raises meanwhile, said as Trouble at this step."""
    try:
        yield
    except smtplib.SMTPNotSupportedError:
        raise
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        raise refusal(
            step, error.smtp_code, said.decode(errors="replace") if isinstance(said, bytes) else said
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise Trouble(
            TLS, f"the certificate of the mail server is not trusted: {error.verify_message}"
        ) from error
    except ssl.SSLError as error:
        raise Trouble(TLS, f"no encrypted line could be agreed: {error.reason or error}") from error
    except TimeoutError as error:
        raise Trouble(step, broken("the mail server did not answer in time", step)) from error
    except (smtplib.SMTPException, OSError) as error:
        raise Trouble(step, broken(said_of(error), step)) from error


def said_of(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no mail server has this name"
    if isinstance(error, ConnectionRefusedError):
        return "the mail server refused the call: nothing listens there"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the mail server hung up"
    return f"the line to the mail server failed: {error}"


def broken(reason: str, step: str) -> str:
    return f"{reason}; it may have taken the message" if step == TEXT else reason


def refusal(step: str, code: int, words: str) -> Exception:
    """What a 4xx or 5xx at this step means for the message."""
    said = f"{code} {' '.join(words.split())}"[:400]
    if step == LOGIN:
        return Trouble(LOGIN, f"the mail server refused our name and password ({said})")
    if 400 <= code < 500 or code <= 0:
        grey = step == RECIPIENT and GREY.search(words) and code in (450, 451)
        return Trouble(step, said, GREYLISTED if grey else None)
    too_large = code == 552 or "5.3.4" in words
    for_good = step in (RECIPIENT, TEXT) or (step == SENDER and too_large)
    if for_good and not (step == RECIPIENT and (code == 530 or NOT_OURS.search(words))):
        return Rejected(said)
    return Trouble(step, said)


def sender_options(line: smtplib.SMTP, mail: EmailMessage, wide: bool, size: int) -> list[str]:
    options = [f"SIZE={size}"] if line.has_extn("size") else []
    if wide:
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    if line.has_extn("dsn"):
        options += ["RET=HDRS", f"ENVID={mail['X-Countersign-Id']}"]
    return options


def own_number(said: str) -> str:
    """The number a server gives a mail it took, as in `250 2.0.0 Ok: queued as 4XyZ...`."""
    found = QUEUED_AS.search(said)
    return found[1].strip("<>.") if found else ""


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
