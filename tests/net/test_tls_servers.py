"""
What servers may be behind their certificates, versions and ciphers, what the gateway says to them itself,
and browsers that are led to a port of mail: SECURITY cases T-002, T-003, T-005 to T-008, T-011, T-019.
"""

import ssl
import subprocess
import tempfile
import warnings
from pathlib import Path

import pytest

from peers import EHLO, RawClient
from test_tls_implicit import GREETINGS, PORTS, Server
from tls_peers import TlsClient, client_context, starttls_reply

TLS = (*EHLO, "STARTTLS")
WEAK = "ALL:@SECLEVEL=0"

AUTHORITY = ("basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign, cRLSign")
LEAF = ("basicConstraints = critical, CA:FALSE", "subjectAltName = DNS:{name}",
        "extendedKeyUsage = serverAuth")


class Made:
    """A certificate with exactly these extensions. options: of openssl req; bits: of its RSA key."""

    def __init__(self, lab, name, extensions, issuer=None, options=(), bits=2048):
        folder = Path(tempfile.mkdtemp(dir=lab.dir, prefix="made-"))
        self.key, self.own = folder / "key.pem", folder / "own.pem"
        config = folder / "req.conf"
        config.write_text("[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n"
                          f"[dn]\nCN = {name}\n[ext]\n" + "\n".join(extensions).format(name=name) + "\n")
        signer = ["-CA", issuer.own, "-CAkey", issuer.key] if issuer else []
        subprocess.run(["openssl", "req", "-x509", "-config", config, "-newkey", f"rsa:{bits}", "-nodes",
                        "-days", "2", *signer, *options, "-keyout", self.key, "-out", self.own],
                       check=True, capture_output=True)
        self.chain = folder / "chain.pem"
        above = issuer.chain.read_text() if issuer else ""
        self.chain.write_text(self.own.read_text() + above)

    def server_context(self, ciphers=WEAK, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(ciphers)
        context.load_cert_chain(self.chain, self.key)
        if version:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
        return context


NAME = "fake.campus.example"


@pytest.fixture(scope="session")
def root(lab):
    return Made(lab, "root.example", AUTHORITY)


def good(lab, root):
    return Made(lab, NAME, LEAF, root)


def through_a_good_one(lab, root):
    return Made(lab, NAME, LEAF, Made(lab, "between.example", AUTHORITY, root))


def through_a_leaf(lab, root):
    return Made(lab, NAME, LEAF, Made(lab, "leaf.example", LEAF, root))


def through_one_without_constraints(lab, root):
    return Made(lab, NAME, LEAF, Made(lab, "bare.example", (), root))


def for_clients(lab, root):
    return Made(lab, NAME, (*LEAF[:2], "extendedKeyUsage = clientAuth"), root)


def outside_of_its_names(lab, root):
    only = "nameConstraints = critical, permitted;DNS:.other.example"
    return Made(lab, NAME, LEAF, Made(lab, "narrow.example", (*AUTHORITY, only), root))


def with_an_unknown_extension(lab, root):
    return Made(lab, NAME, (*LEAF, "1.2.3.4.5.6 = critical, ASN1:UTF8String:what is this"), root)


def with_SHA_1(lab, root):
    return Made(lab, NAME, LEAF, root, ["-sha1"])


def with_MD5(lab, root):
    return Made(lab, NAME, LEAF, root, ["-md5"])


def with_RSA_1024(lab, root):
    return Made(lab, NAME, LEAF, root, bits=1024)


def with_RSA_512(lab, root):
    return Made(lab, NAME, LEAF, root, bits=512)


def with_a_CA_of_1024(lab, root):
    return Made(lab, NAME, LEAF, Made(lab, "small.example", AUTHORITY, root, bits=1024))


def that_promises_a_staple(lab, root):
    return Made(lab, NAME, (*LEAF, "tlsfeature = status_request"), root)


@pytest.fixture
def start(fake, gateway, ours, root):
    """start(certificate or context, ...): a gateway that is strict, before a server that has it."""

    def make(context, rule=None, **settings):
        server = fake(ehlo=TLS, replies={"STARTTLS": starttls_reply(context)})
        sections = {"certificate": {"mx": ours.section},
                    "tls": {"verify_inside": "enforce", "trust": str(root.chain)}, **settings}
        if rule:
            sections["tls_rule"] = {"this": {"servers": [server.address], **rule}}
        gate = gateway(server, smtp={"starttls": "intercept"},
                       forward={"mx": {"implicit_tls": False}}, **sections)
        gate.server = server
        return gate

    return make


def starttls(gate):
    with gate.client() as client:
        client.hello()
        return client.cmd("STARTTLS").code


@pytest.fixture
def named(fake, gateway, ours, root):
    """
    named(certificate): what comes of a client that asks a strict gateway for NAME, TLS from the first
    octet on: None, or the record of its failure.
    """

    def make(certificate, version=None):
        script = Server(ours)
        script.context = certificate.server_context(version=version)
        server = fake(script=script)
        script.dialogue = server.serve
        gate = gateway(server, smtp={"starttls": "intercept"}, certificate={"mx": ours.section},
                       tls={"verify_inside": "enforce", "trust": str(root.chain)},
                       forward={"mx": {"implicit_tls": True}})
        with gate.client(cls=TlsClient) as client:
            try:
                client.wrap(name=NAME)
                RawClient.hello(client)
            except ssl.SSLError as error:
                assert "handshake failure" in str(error).lower(), error
                return gate.record("tls")
        return None

    return make


@pytest.mark.parametrize("make", [good, through_a_good_one])
def test_good_ones_T_002(lab, root, named, make):
    assert named(make(lab, root)) is None


@pytest.mark.parametrize("make,said", [
    (through_a_leaf, "invalid CA certificate"), (through_one_without_constraints, "invalid CA certificate"),
    (for_clients, "purpose"), (outside_of_its_names, "subtree violation"),
    (with_an_unknown_extension, "unhandled critical extension")])
def test_certificates_that_break_the_rules_T_002(lab, root, named, make, said):
    record = named(make(lab, root))
    assert record is not None
    assert record["tls"]["failure"] == "tls_verify" and record["tls"]["verified"] is False
    assert said.lower() in record["tls"]["verify_error"].lower(), record["tls"]["verify_error"]


@pytest.mark.parametrize("make", [with_SHA_1, with_MD5, with_RSA_1024, with_RSA_512, with_a_CA_of_1024])
def test_weak_certificates_T_003(lab, root, named, make):
    record = named(make(lab, root), ssl.TLSVersion.TLSv1_2)
    assert record is not None
    if record["tls"]["failure"] == "tls_verify":
        error = record["tls"]["verify_error"]
        assert "weak" in error or "too small" in error or "too short" in error, error
    else:  # the handshake itself would not take it
        assert record["tls"]["failure"] in ("tls_handshake", "tls_alert")


def small_groups(lab, root):
    context = good(lab, root).server_context("DHE:@SECLEVEL=0", ssl.TLSVersion.TLSv1_2)
    file = Path(tempfile.mkdtemp(dir=lab.dir)) / "dh.pem"
    subprocess.run(["openssl", "dhparam", "-dsaparam", "-out", file, "1024"], check=True, capture_output=True)
    context.load_dh_params(file)
    return context


def test_small_DH_groups_T_003(lab, root, start):
    """No finite field at all."""
    assert starttls(start(small_groups(lab, root), tls={"verify_inside": "off"})) == 454


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_staple_that_was_promised_T_005(lab, root, named, version):
    record = named(that_promises_a_staple(lab, root), getattr(ssl.TLSVersion, "TLSv1_" + version[2]))
    assert record is not None and record["tls"]["failure"] == "tls_verify"
    assert record["tls"]["verified"] is False


# ---- versions and ciphers of long ago ----

OLD = {"TLS1.0": ("ALL", ssl.TLSVersion.TLSv1), "TLS1.1": ("ALL", ssl.TLSVersion.TLSv1_1),
       "CBC": ("ECDHE-RSA-AES128-SHA", ssl.TLSVersion.TLSv1_2),
       "RSA": ("AES128-GCM-SHA256", ssl.TLSVersion.TLSv1_2),
       "RSA-CBC": ("AES128-SHA", ssl.TLSVersion.TLSv1_2)}


@pytest.mark.parametrize("what", OLD)
def test_old_ones_need_a_rule_that_stands_in_each_record_T_006(lab, root, start, what):
    ciphers, version = OLD[what]
    context = good(lab, root).server_context(f"{ciphers}:@SECLEVEL=0", version)
    gate = start(context, tls={"verify_inside": "off"})
    assert starttls(gate) == 454
    failed = gate.record("tls")["tls"]
    assert failed["failure"] in ("tls_version", "tls_cipher", "tls_alert") and failed["rule"] == "starttls"
    gate.stop()
    gate = start(context, {"old_versions": True}, tls={"verify_inside": "off"})
    for n in (1, 2, 3):
        with gate.client(cls=TlsClient) as client:
            client.hello()
            client.envelope()
        gate.record("tls", lambda r: len(gate.records("tls")) == n)
    for record in gate.records("tls"):
        assert record["tls"]["rule"] == "this" and "failure" not in record["tls"]
        if what.startswith("TLS"):
            assert record["upstream"]["version"].replace(" ", "") == what
        assert record["tls"]["version"] == "TLS 1.3"  # towards the client nothing is old (T-007)


@pytest.mark.parametrize("ciphers", ["ADH-AES128-SHA256", "NULL-SHA256"])
def test_no_rule_goes_without_a_key_or_a_certificate_T_006(lab, root, start, ciphers):
    context = good(lab, root).server_context(f"{ciphers}:@SECLEVEL=0", ssl.TLSVersion.TLSv1_2)
    gate = start(context, {"old_versions": True}, tls={"verify_inside": "off"})
    assert starttls(gate) == 454


# ---- what the gateway says itself ----


class Hello:
    """A ClientHello, taken apart (RFC 8446 s4.1.2)."""

    def __init__(self, record):
        body = record[9:]
        self.version = body[:2]
        at = 34 + 1 + body[34]
        n = int.from_bytes(body[at:at + 2], "big")
        self.ciphers = {int.from_bytes(body[i:i + 2], "big") for i in range(at + 2, at + 2 + n, 2)}
        at += 2 + n
        self.compression = body[at + 1:at + 1 + body[at]]
        at += 1 + body[at] + 2
        self.extensions = {}
        while at < len(body):
            kind, n = int.from_bytes(body[at:at + 2], "big"), int.from_bytes(body[at + 2:at + 4], "big")
            self.extensions[kind] = body[at + 4:at + 4 + n]
            at += 4 + n


AEAD_ECDHE = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9}
SCSV = 0x00ff  # no cipher: it says that renegotiation is secure (RFC 5746 s3.3)


@pytest.mark.parametrize("minimum,versions", [("1.2", {0x0303, 0x0304}), ("1.3", {0x0304})])
def test_our_own_hello_T_008_T_019(fake, gateway, ours, minimum, versions):
    heard = []

    def listen(conversation, line):
        conversation.send(b"220 go\r\n")
        octets = b""
        while len(octets) < 5 or len(octets) < 5 + int.from_bytes(octets[3:5], "big"):
            octets += conversation.sock.recv(65536)
        heard.append(octets)
        raise OSError("done")

    gate = gateway(fake(ehlo=TLS, replies={"STARTTLS": listen}), smtp={"starttls": "intercept"},
                   certificate={"mx": ours.section}, tls={"minimum": minimum})
    assert starttls(gate) == 454
    hello = Hello(heard[0])
    said = hello.extensions[43]  # supported_versions
    assert {int.from_bytes(said[i:i + 2], "big") for i in range(1, len(said), 2)} == versions
    assert hello.ciphers - {SCSV} <= AEAD_ECDHE and len(hello.ciphers) > 2
    assert hello.compression == b"\0"
    assert 23 in hello.extensions or minimum == "1.3"  # extended_master_secret (RFC 7627)
    assert 65281 not in hello.extensions or hello.extensions[65281] == b"\0"
    assert 42 not in hello.extensions and 15 not in hello.extensions  # early data, heartbeat
    signatures = hello.extensions[13][2:]
    assert not {signatures[i:i + 2] for i in range(0, len(signatures), 2)} & {b"\x02\x01", b"\x02\x03"}


# ---- browsers ----

HTTP = [b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: mx.campus.example\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: mx.campus.example\r\nContent-Length: 60\r\n\r\n"
        b"EHLO x\r\nMAIL FROM:<s@good.example>\r\n<script>alert(1)</script>\r\n"]


@pytest.mark.parametrize("octets", HTTP, ids=["GET", "POST"])
@pytest.mark.parametrize("protocol", PORTS)
def test_a_browser_at_a_port_of_ours_T_011(fake, theirs, gateway, ours, protocol, octets):
    """ALPACA: without ALPN it gets into TLS, and no further; nothing of what it said comes back."""

    def dialogue(conversation):
        conversation.send(GREETINGS[protocol])
        conversation.rest()

    script = Server(theirs, dialogue=dialogue)
    server = fake(script=script)
    gate = gateway(server, protocol=protocol, **{protocol: {"starttls": "intercept"}},
                   certificate={"mx": ours.section}, forward={"mx": {"implicit_tls": True}})
    with gate.client(cls=TlsClient) as client:
        client.wrap(client_context())
        try:
            client.send(octets)
        except OSError:
            pass
        said = client.rest(10)
        assert b"script" not in said and b"alert" not in said, said
        assert len(said) < 400, said
    assert b"HTTP" not in server.octets and b"MAIL" not in server.octets
    assert gate.flow()["flow"]["reason"] not in ("client_quit", "client_closed")
