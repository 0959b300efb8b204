"""`countersign serve` with a certificate of its own: real https, checked as a browser would."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys

import pytest
import requests

from portal.settings import ROOT
from tests.fronts import Visitor, certificate
from tests.processes import Tree, command, environment, free_port, until
from tests.tools import ask

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class SecureTree(Tree):
    """A start with TLS_CERT and TLS_KEY; its health is asked for by checked https."""

    ca = ""

    @property
    def address(self):
        return f"https://127.0.0.1:{self.port}"

    def get(self, path):
        try:
            return requests.get(self.address + path, timeout=5, verify=self.ca)
        except requests.ConnectionError:
            return None


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory, made):
    started = SecureTree(
        tmp_path_factory.mktemp("tls"), "serve",
        COUNTERSIGN_TLS_CERT=str(made.cert), COUNTERSIGN_TLS_KEY=str(made.key),
    )  # fmt: skip
    started.ca = str(made.ca)
    try:
        until(started.healthy)
        yield started
    finally:
        started.end_everything()


@pytest.fixture
def visitor(tree, made):
    asks = Visitor(tree.port, ca=made.ca, name="localhost")
    yield asks
    asks.close()


def test_pages_come_by_checked_https_and_cookies_are_bound_to_it(visitor):
    answer = visitor.get("/sign-in")

    assert answer.status == 200
    assert "__Host-countersign-form" in visitor.cookies
    assert all("Secure" in cookie for cookie in answer.headers.getlist("Set-Cookie"))
    refused = visitor.post("/sign-in", {"email": "nobody@example.com", "password": "wrong"})
    assert refused.status == 422


def test_who_trusts_another_authority_is_told_nothing(tree, tmp_path):
    other = certificate(tmp_path)

    with pytest.raises(requests.exceptions.SSLError):
        requests.get(tree.address + "/healthz", timeout=5, verify=str(other.ca))


def test_plain_http_on_that_port_gets_no_page(tree):
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{tree.port}/healthz", timeout=5)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_two_versions_of_tls_are_spoken(tree, made, version):
    assert handshake(tree, made, version) == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_ones_are_not(tree, made, version):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(tree, made, version)


def handshake(tree, made, version):
    context = ssl.create_default_context(cafile=made.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", tree.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return secure.version()


def test_the_printed_address_says_https(tree):
    assert tree.stdout.splitlines()[0] == f"Countersign is at https://127.0.0.1:{tree.port}"


def start(folder, **given):
    return subprocess.run(
        command("serve", "--port", str(free_port())), cwd=ROOT, env=environment(folder, **given),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("wrong", ["another key", "no certificate", "a password"])
def test_a_certificate_that_cannot_be_used_is_one_sentence_at_start(made, tmp_path, wrong):
    cert, key = made.cert, tmp_path / "other.pem"
    if wrong == "another key":
        ask("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    elif wrong == "no certificate":
        cert = key = tmp_path / "words.pem"
        cert.write_text("not a certificate")
    else:
        ask("openssl", "pkcs8", "-topk8", "-in", made.key, "-out", key, "-passout", "pass:hunter2")

    refused = start(tmp_path / "data", COUNTERSIGN_TLS_CERT=str(cert), COUNTERSIGN_TLS_KEY=str(key))

    assert refused.returncode == 1
    assert "TLS_KEY" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
