"""The files of docs/deploy as they are: nginx before a real portal, and the unit's own command."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from portal import settings
from portal.app import MAX_BODY_BYTES
from portal.clock import utc_now
from portal.models import base
from portal.models.people import Person, Session
from portal.services import audit, envelopes, evidence, second_factors
from tests.fronts import DEPLOY, NAME, Nginx, Visitor, certificate
from tests.processes import PATIENCE_S, command, environment, free_port, running, until
from tests.security import world as worlds
from tests.tools import ask, require_tool

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

BASE_URL = f"https://{NAME}"
GIVEN = {"BASE_URL": BASE_URL, "TRUSTED_PROXIES": "127.0.0.1"}
# Whoever comes from here comes through nginx or around it; nginx itself is 127.0.0.1.
CLIENT, AROUND = "127.0.0.9", "127.0.0.8"
SPOOFED = {
    "X-Forwarded-For": "198.51.100.66", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example",
    "X-Real-IP": "198.51.100.66", "Forwarded": "for=198.51.100.66;host=evil.example;proto=http",
    "True-Client-IP": "198.51.100.66", "X_Forwarded_For": "198.51.100.66",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory, sqlite_template):
    """People, contracts and mailed links, told in the data folder before the portal is started on it."""
    require_tool("nginx")
    folder = tmp_path_factory.mktemp("behind")
    shutil.copy(sqlite_template, folder / "countersign.db")
    given = worlds.found(folder, **GIVEN)
    worlds.open_world(given)
    built = worlds.build(given)
    base.disconnect()
    return built


@pytest.fixture(scope="module")
def portal(world):
    given = {f"COUNTERSIGN_{name}": value for name, value in GIVEN.items()}
    given["COUNTERSIGN_MAIL_URL"] = "smtp://127.0.0.1:9"  # a public address asks for one; nobody listens
    with running(world.settings.data_dir, "serve", **given) as tree:
        yield tree


@pytest.fixture(scope="module")
def nginx(portal, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    with Nginx(folder, portal.port, certificate(folder)).running() as started:
        yield started


@pytest.fixture
def rows(world):
    """The portal's database, read beside it."""
    worlds.open_world(world.settings)
    yield
    base.disconnect()


@pytest.fixture
def visitor(nginx):
    made = Visitor(nginx.https, ca=nginx.certificate.ca, source=CLIENT)
    yield made
    made.close()


@pytest.fixture
def around(portal):
    """Somebody on the machine who leaves nginx out."""
    made = Visitor(portal.port, source=AROUND)
    yield made
    made.close()


def sign_in(visitor, name, headers=None):
    """Password and code over the wire; a code of this half minute that nobody has used."""
    email = f"{name}@larkfield.example"
    answer = visitor.post("/sign-in", {"email": email, "password": worlds.PASSWORD}, headers=headers)
    assert answer.status == 303, answer.text
    person = Person.get(Person.email == email)

    def code_taken():
        code = second_factors.current_code(Person.get_by_id(person.id), utc_now())
        return visitor.post("/sign-in/code", {"code": code}, headers=headers).status == 303

    until(code_taken, 70)
    return person


# --- Whose address ------------------------------------------------------------------------------------


def test_sessions_and_history_hold_the_visitor_whatever_the_visitor_writes(visitor, rows):
    ben = sign_in(visitor, "ben", SPOOFED)

    opened = Session.select().where(Session.person == ben).order_by(Session.created_at.desc()).get()
    assert opened.address == CLIENT
    event = next(e for e in audit.history(audit.INSTALLATION) if e["act"] == "session.opened")
    assert event["details"]["by_address"] == CLIENT
    shown = visitor.get("/account", SPOOFED).text
    assert CLIENT in shown
    assert "198.51.100" not in shown
    assert "evil.example" not in shown


def test_who_goes_around_the_proxy_is_recorded_as_they_are(around, rows):
    answer = around.post("/sign-in", {"email": "finn@larkfield.example", "password": worlds.PASSWORD},
                         headers=SPOOFED)  # fmt: skip

    assert answer.status == 303
    finn = Person.get(Person.email == "finn@larkfield.example")
    newest = Session.select().where(Session.person == finn).order_by(Session.created_at.desc()).get()
    assert newest.address == AROUND
    assert around.get("/mailbox").status == 404


def test_the_page_shows_the_visitor_and_finds_nothing_wrong(visitor, world):
    visitor.cookies |= dict(world.personas["ada"].cookies)

    text = visitor.get("/settings/address", SPOOFED).text

    assert f'name="address" value="{CLIENT}"' in text
    assert "Nothing: name, port, encryption and proxy fit together." in text
    assert "198.51.100.66" not in text.replace("True-Client-Ip", "").partition("What proxies said")[0]


def test_the_evidence_of_a_contract_names_the_signers_own_address(visitor, world, rows):
    token = world.tokens["sign"]

    answer = visitor.post(f"/sign/{token}", {"consent": "yes"}, headers=SPOOFED)

    assert answer.status == 303
    envelope = envelopes.latest(world.contracts["signing"])
    told = json.loads(evidence.package(evidence.gather(envelope), 1, utc_now()))
    addresses = re.findall(r'"by_address": ?"([^"]+)"', json.dumps(told))
    assert CLIENT in addresses
    assert "198.51.100.66" not in json.dumps(told)
    assert "127.0.0.1" not in addresses


# --- http, https, names -------------------------------------------------------------------------------


def test_http_leads_to_the_same_page_by_https_under_our_own_name(nginx):
    plain = Visitor(nginx.http, name="evil.example")

    answer = plain.get("/sign/abc?x=1")

    assert answer.status == 308
    assert answer.headers["Location"] == f"{BASE_URL}/sign/abc?x=1"
    plain.close()


def test_cookies_and_promise_are_those_of_https(visitor):
    answer = visitor.get("/sign-in")

    assert answer.headers.getlist("Strict-Transport-Security") == ["max-age=31536000"]
    cookies = answer.headers.getlist("Set-Cookie")
    assert cookies
    assert all(cookie.startswith("__Host-") and "Secure" in cookie for cookie in cookies)


def test_another_name_gets_no_certificate_and_no_page(nginx, visitor):
    stranger = Visitor(nginx.https, ca=nginx.certificate.ca, name="localhost")
    with pytest.raises(urllib3.exceptions.SSLError):
        stranger.get("/")

    visitor.name = "evil.example"  # our name in the handshake, another one in Host
    with pytest.raises(urllib3.exceptions.ProtocolError):
        visitor.get("/sign-in")


def test_a_redirect_never_leads_to_a_name_from_a_header(visitor, around):
    for asks in (visitor, around):
        answer = asks.get("/contracts", SPOOFED)

        assert answer.status == 303
        assert answer.headers["Location"].startswith("/sign-in")


def test_a_page_that_a_second_proxy_got_by_http_is_sent_to_https(portal):
    """A visitor from the trusted address itself, as a proxy that forwards plain http would be."""
    proxy = Visitor(portal.port)

    answer = proxy.get("/verify", {"X-Forwarded-Proto": "http", "X-Forwarded-For": CLIENT})

    assert answer.status == 308
    assert answer.headers["Location"] == f"{BASE_URL}/verify"
    assert proxy.get("/healthz", {"X-Forwarded-Proto": "http"}).status == 200
    proxy.close()


# --- Bodies -------------------------------------------------------------------------------------------


def test_an_upload_of_25_megabytes_passes_and_a_larger_body_is_refused(visitor):
    whole = b"%PDF-1.7\n" + b"\0" * (25 * 1000 * 1000 - 9)
    page = visitor.post("/verify", {"file": ("large.pdf", whole, "application/pdf")})
    assert page.status == 200, page.text
    assert "large.pdf" in page.text

    answer = visitor.post(
        "/verify", {"file": ("huge.pdf", whole + b"\0" * 4 * 1000 * 1000, "application/pdf")}
    )
    assert answer.status == 413


def test_nginx_and_the_portal_end_at_the_same_number_of_bytes():
    (size,) = re.findall(r"client_max_body_size (\d+)m;", (DEPLOY / "nginx.conf").read_text())

    assert int(size) * 1024 * 1024 == MAX_BODY_BYTES


# --- Logs ---------------------------------------------------------------------------------------------


def ways(kind, token):
    """Ways to write the same address, that nginx reads as one."""
    return (
        f"{kind}{token}",
        f"{kind}{token}/not-me",
        f"/{kind}{token}",
        f"/%{ord(kind[1]):02x}{kind[2:]}{token}",
        f"/x/..{kind}{token}?next={token}",
    )


def test_no_log_holds_a_mailed_link(nginx, visitor, world):
    tokens = [world.tokens[name] for name in ("sign", "copy", "invitation", "password_reset", "access")]
    kinds = ("/sign/", "/invitation/", "/password-reset/", "/access/", "/mine/")
    for token in tokens:
        for path in (way for kind in kinds for way in ways(kind, token)):
            visitor.get(path)
        visitor.ask("POST", f"/sign/{token}", body=b"x" * (28 * 1024 * 1024))

    written = until(lambda: (text := nginx.log.read_text()).count("/sign/-") > 20 and text)
    for text in (written, nginx.error_log.read_text(), (nginx.folder / "access.log").read_text()):
        assert not [token for token in tokens if token in text]
    assert f"{CLIENT} " in written
    for kind in kinds:
        assert f'GET "{kind}-" ' in written


def test_every_address_that_holds_a_token_is_masked(wired_app):
    """A new kind of mailed link has to be named in nginx.conf, twice, and in its README."""
    rules = [rule.rule for rule in wired_app.url_map.iter_rules() if "<token>" in rule.rule]
    kinds = {rule.split("/")[1] for rule in rules}
    text = (DEPLOY / "nginx.conf").read_text()

    for listed in re.findall(r"\((?:\?:)?(sign[a-z|-]*)\)", text):
        assert set(listed.split("|")) == kinds
    assert len(re.findall(r"\((?:\?:)?sign\|", text)) == 2
    for kind in kinds:
        assert f"`/{kind}/`" in (DEPLOY / "README.md").read_text()


def test_while_the_portal_is_away_no_log_holds_a_mailed_link_either(tmp_path):
    made = Nginx(tmp_path, free_port(), certificate(tmp_path))
    with made.running():
        visitor = Visitor(made.https, ca=made.certificate.ca)

        assert visitor.get("/sign/secret-of-a-signer").status == 502
        assert visitor.get("/sign-in").status == 502

        visitor.close()
        written = until(lambda: (text := made.log.read_text()).count("502") == 2 and text)
    assert "secret-of-a-signer" not in written + made.error_log.read_text()
    assert "/sign-in" in made.error_log.read_text()


# --- The files themselves -----------------------------------------------------------------------------


def test_nginx_takes_the_configuration_without_a_word(tmp_path):
    assert Nginx(tmp_path, 8000, certificate(tmp_path)).complaints() == []


def test_only_settings_that_exist_are_set():
    known = {settings.PREFIX + setting.name for setting in settings.SETTINGS}
    for path in DEPLOY.iterdir():
        named = set(re.findall(r"COUNTERSIGN_[A-Z_]+", path.read_text()))
        assert named <= known, path.name


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "countersign.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_command_and_environment_of_the_unit_start_the_portal(tmp_path):
    """With the example as it is, but for the port and the data folder."""
    example = (DEPLOY / "environment.example").read_text().splitlines()
    lines = unit()["Environment"] + [line for line in example if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines) | {"COUNTERSIGN_DATA_DIR": str(tmp_path)}
    program, *words = unit()["ExecStart"][0].split()
    assert program == "/opt/countersign/.venv/bin/countersign"
    assert words[-2:] == ["--port", "8000"]

    with running(tmp_path, *words[:-2], **given) as tree:
        assert until(lambda: tree.get("/readyz").status_code == 200)
        tree.stop()
        assert not tree.process.poll()


WITHOUT_NEW_CODE = (
    "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_nothing_of_the_portal_needs_memory_that_is_written_and_run(tmp_path):
    """MemoryDenyWriteExecute, as the kernel itself keeps it (Linux 6.3): start, and seal a PDF."""
    denied = [sys.executable, "-c", WITHOUT_NEW_CODE]
    if subprocess.run([*denied, "/bin/true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel knows no PR_SET_MDWE")
    import pikepdf

    source, target = tmp_path / "in.pdf", tmp_path / "out.pdf"
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(source)

    done = subprocess.run(
        [*denied, *command("seal", str(source), str(target))],
        env=environment(tmp_path / "data"), cwd=settings.ROOT, capture_output=True, text=True,
        timeout=PATIENCE_S * 2, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert target.read_bytes().startswith(source.read_bytes()[:5])
    assert unit()["MemoryDenyWriteExecute"] == ["yes"]


def rewritten(folder: Path) -> Path:
    """The unit with a program that is there, since verify looks for it."""
    text = (DEPLOY / "countersign.service").read_text()
    path = folder / "countersign.service"
    path.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    return path


def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path):
    said = ask("systemd-analyze", "verify", "--man=no", rewritten(tmp_path))

    assert said.strip() == ""


def test_the_unit_is_shut_in_well(tmp_path):
    """systemd's own measure from 0 to 10; below 2 little is left that a service could do without."""
    said = ask("systemd-analyze", "security", "--offline=true", "--threshold=20", rewritten(tmp_path))

    (level,) = re.findall(r"Overall exposure level for countersign\.service: ([0-9.]+)", said)
    assert float(level) <= 2.0
