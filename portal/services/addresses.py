"""Where people reach the portal, and which network address is recorded for them: what is wrong with it.

`findings` is pure: settings and one arrival in, faults in words out. The page, the first steps and
`countersign doctor` say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.proxies import Arrival, normal
from portal.services import audit, installation
from portal.services.audit import Actor
from portal.settings import PREFIX, Settings, is_loopback

DANGER, WAIT, INFO = "danger", "wait", "info"
CONFIRMED = "confirmed_address"
EXAMPLE = "https://contracts.example.com"
# Endings that no public name has: RFC 6762, 8375, and what routers and companies hand out.
INSIDE = (".local", ".localdomain", ".lan", ".home", ".home.arpa", ".internal", ".intranet", ".corp")
BELIEVED = {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}


@dataclass(frozen=True)
class Finding:
    """One fault: what is so, what to do, and the line for the environment where a setting mends it."""

    key: str
    tone: str  # danger, wait or info
    sentence: str
    remedy: str
    line: str = ""


@dataclass(frozen=True)
class Header:
    """A header by which a proxy shows itself, and whether it was believed."""

    name: str
    value: str
    is_believed: bool
    why: str


# --- What is wrong ------------------------------------------------------------------------------


def findings(settings: Settings, arrival: Arrival | None = None) -> list[Finding]:
    """Every fault to be seen: of the settings alone, and of the way one request came in if given."""
    found = list(about_base_url(settings))
    if arrival is not None:
        found += about_proxy(settings, arrival)
        found += about_name(settings, arrival)
        found += about_scheme(settings, arrival)
    return found


def about_base_url(settings: Settings) -> Iterator[Finding]:
    """What can be told without anybody having come by."""
    name = urlsplit(settings.base_url).hostname or ""
    if not name or is_loopback(name):
        if name:
            yield Finding(
                "base_url_local", INFO,
                _("BASE_URL is %(address)s: only this machine can open links in mails.",
                  address=settings.base_url),
                _("Before others use the portal, set it to the address they will type:"),
                line_of("BASE_URL", EXAMPLE),
            )  # fmt: skip
        return
    if normal(name):
        yield Finding(
            "base_url_address", WAIT,
            _("BASE_URL names the network address %(name)s. Addresses change, and few authorities give a "
              "certificate for one.", name=name),
            _("Give the machine a name, then set:"),
            line_of("BASE_URL", EXAMPLE),
        )  # fmt: skip
    elif "." not in name or name.endswith(INSIDE):
        yield Finding(
            "base_url_inside", WAIT,
            _("%(name)s is a name for your own network: people of other companies cannot open their links.",
              name=name),
            _("Where others are to sign, use a public name:"),
            line_of("BASE_URL", EXAMPLE),
        )  # fmt: skip
    if not settings.https:
        yield Finding(
            "base_url_plain", DANGER,
            _("BASE_URL begins with http: passwords, codes and contracts travel readable for anybody on the "
              "way."),
            _("Let a proxy with a certificate answer for this name, or set TLS_CERT and TLS_KEY; then set:"),
            line_of("BASE_URL", https_of(settings.base_url)),
        )  # fmt: skip


def about_proxy(settings: Settings, arrival: Arrival) -> Iterator[Finding]:
    """Who passed the request on, and whether the recorded address can be right."""
    trusted, peer = settings.trusted_proxies, peer_name(arrival)
    if arrival.sent and not arrival.is_trusted:
        yield Finding(
            "proxy_not_trusted", DANGER,
            _("A proxy at %(peer)s passed your request on but is not trusted: whoever comes through it is "
              "recorded as %(peer)s, and wrong passwords of one count against all.", peer=peer),
            _("If this proxy is yours, and sets X-Forwarded-For itself, set:"),
            trust_line(settings, arrival),
        )  # fmt: skip
    if arrival.is_trusted and not has(arrival, "X-Forwarded-For"):
        yield Finding(
            "proxy_silent", WAIT,
            _("You came from the trusted proxy %(peer)s, which names nobody: everybody who comes this way is "
              "recorded as the proxy.", peer=peer),
            _("Have the proxy send your visitor’s address. In nginx:"),
            "proxy_set_header X-Forwarded-For $remote_addr;",
        )  # fmt: skip
    elif arrival.unreadable:
        yield Finding(
            "forwarded_unreadable", WAIT,
            _("X-Forwarded-For holds “%(entry)s”, which is no address. What stands before it is not "
              "believed, and the proxy that passed it on is recorded.", entry=arrival.unreadable[:60]),
            _("Have the proxy set the header anew. In nginx:"),
            "proxy_set_header X-Forwarded-For $remote_addr;",
        )  # fmt: skip
    elif arrival.is_trusted and trusted.holds(arrival.address):
        yield Finding(
            "visitor_trusted", WAIT,
            _("Your own address %(address)s counts as a trusted proxy: anybody in that network could give "
              "themselves another address.", address=arrival.address or peer),
            _("Trust the address of the proxy alone:"),
            line_of("TRUSTED_PROXIES", arrival.peer or "unix"),
        )  # fmt: skip


def about_name(settings: Settings, arrival: Arrival) -> Iterator[Finding]:
    """Whether people come by the name that mails hold."""
    came_by = urlsplit(f"{arrival.scheme}://{arrival.host}")
    if not came_by.hostname:
        return
    if not settings.base_url:
        if not is_loopback(came_by.hostname):
            yield Finding(
                "base_url_missing", DANGER,
                _("BASE_URL is not set, yet you came by %(host)s: links in mails lead to where the portal "
                  "listens, which others may not reach.", host=arrival.host),
                _("Set it to the address people type:"),
                line_of("BASE_URL", https_of(came_by.geturl())),
            )  # fmt: skip
        return
    wanted = urlsplit(settings.base_url)
    if came_by.hostname != wanted.hostname:
        key, sentence = "base_url_other_host", _(
            "BASE_URL is %(address)s, but you came by the name %(host)s: links in mails lead elsewhere.",
            address=settings.base_url, host=arrival.host,
        )  # fmt: skip
    elif came_by.scheme == wanted.scheme and port_of(came_by) != port_of(wanted):
        key, sentence = "base_url_other_port", _(
            "BASE_URL is %(address)s, but you came by port %(port)s: links in mails lead elsewhere.",
            address=settings.base_url, port=port_of(came_by),
        )  # fmt: skip
    else:
        return
    yield Finding(
        key, WAIT, sentence,
        _("If you typed the address in BASE_URL, have your proxy pass the name on (in nginx: "
          "proxy_set_header Host $http_host). If the one you came by is right, set:"),
        line_of("BASE_URL", came_by.geturl()),
    )  # fmt: skip


def about_scheme(settings: Settings, arrival: Arrival) -> Iterator[Finding]:
    """Whether http and https mean the same to people, proxy and portal."""
    if arrival.scheme == "https" and settings.base_url.startswith("http://"):
        yield Finding(
            "base_url_not_https", DANGER,
            _("You came by https, but BASE_URL says http: cookies are not bound to https, and links in mails "
              "begin unencrypted."),
            _("Set:"),
            line_of("BASE_URL", https_of(settings.base_url)),
        )  # fmt: skip
    if arrival.scheme == "https" or not settings.https:
        return
    if arrival.is_trusted:
        yield Finding(
            "proxy_names_no_scheme", WAIT,
            _("The proxy %(peer)s does not say whether people come by https, so that plain http cannot be "
              "told apart and refused.", peer=peer_name(arrival)),
            _("Have the proxy say so. In nginx:"),
            "proxy_set_header X-Forwarded-Proto $scheme;",
        )  # fmt: skip
    elif not arrival.sent:
        yield Finding(
            "arrived_plain", DANGER,
            _("BASE_URL says https, but %(peer)s asked for this page unencrypted, and no proxy says "
              "otherwise.", peer=peer_name(arrival)),
            _("Open %(address)s instead, and let nothing but your proxy reach this port.",
              address=settings.base_url),
        )  # fmt: skip


def headers(arrival: Arrival) -> list[Header]:
    """What proxies said of this request, and why it was believed or not."""
    return [Header(name, value, *judged(name, value, arrival)) for name, value in arrival.sent]


def judged(name: str, value: str, arrival: Arrival) -> tuple[bool, str]:
    if name not in BELIEVED:
        return False, _("never read; strangers can send it through a proxy")
    if not arrival.is_trusted:
        return False, _("%(peer)s is not in TRUSTED_PROXIES", peer=peer_name(arrival))
    if name == "X-Forwarded-For" and arrival.unreadable:
        return False, _("not all of it is an address")
    if name == "X-Forwarded-Proto" and not arrival.said_scheme:
        return False, _("neither http nor https")
    if name == "X-Forwarded-Host" and arrival.host != value.rpartition(",")[2].strip():
        return False, _("not a host name")
    return True, _("the trusted proxy %(peer)s says so", peer=peer_name(arrival))


def peer_name(arrival: Arrival) -> str:
    return arrival.peer or _("a unix socket")


def has(arrival: Arrival, name: str) -> bool:
    return any(each == name and value.strip(" ,") for each, value in arrival.sent)


def trust_line(settings: Settings, arrival: Arrival) -> str:
    known = str(settings.trusted_proxies)
    return line_of("TRUSTED_PROXIES", ",".join(filter(None, [known, arrival.peer or "unix"])))


def line_of(name: str, value: str) -> str:
    return f"{PREFIX}{name}={value}"


def https_of(address: str) -> str:
    """The same name by https; a port that served http goes."""
    parts = urlsplit(address)
    return address if parts.scheme == "https" else f"https://{parts.netloc.removesuffix(f':{parts.port}')}"


def port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


# --- Who has looked ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confirmation:
    """Somebody's word that the recorded address was really theirs."""

    person_id: str
    address: str
    at: datetime
    holds: bool  # nothing it rests on was set anew since


def is_settled(settings: Settings, arrival: Arrival) -> bool:
    """Whether the recorded address can be somebody's own, and not their proxy's."""
    return bool(arrival.address) and not any(about_proxy(settings, arrival))


def confirm(settings: Settings, arrival: Arrival, shown: str, *, by: Actor, now: datetime) -> None:
    """Remember that this person recognised their address.

    Raises Conflict when another was shown, or while a proxy hides whose it is.
    """
    if not is_settled(settings, arrival):
        raise Conflict(_("First correct what is said below of the proxy: it hides whose address this is."))
    if shown != arrival.address:
        raise Conflict(
            _("Meanwhile your address is %(address)s. Look again, and confirm that one if it is yours.",
              address=arrival.address)
        )  # fmt: skip
    with transaction():
        said = {"person": by.id, "address": shown, "at": now.isoformat(), "rests_on": rests_on(settings)}
        installation.set_fact(CONFIRMED, said, now)
        audit.append(
            "address.confirmed", ("installation", "address"), chain=audit.INSTALLATION, by=by, now=now,
            facts={"trusted_proxies": str(settings.trusted_proxies)}, personal={"address": shown},
        )  # fmt: skip


def confirmation(settings: Settings) -> Confirmation | None:
    """Who last confirmed their address, and whether that still says anything."""
    said: dict[str, Any] | None = installation.fact(CONFIRMED)
    if said is None:
        return None
    at = datetime.fromisoformat(said["at"])
    return Confirmation(said["person"], said["address"], at, said["rests_on"] == rests_on(settings))


def rests_on(settings: Settings) -> list[str]:
    return [settings.base_url, str(settings.trusted_proxies)]
