"""
What is recorded of TLS that ends at the gateway, that passes it, and that is refused. FIELD rows T7, T15;
SECURITY cases T-001, T-013, T-022.
"""

import hashlib
import ssl

import pytest

from peers import EHLO
from tls_peers import TlsClient, client_context, starttls_reply

TLS = (*EHLO, "STARTTLS")


@pytest.fixture
def tls_fake(fake, theirs):
    def start(version=None, **options):
        replies = {"STARTTLS": starttls_reply(theirs.server_context(version))}
        return fake(ehlo=TLS, replies=replies, **options)

    return start


@pytest.fixture
def tls_gateway(gateway, ours):
    def start(to, starttls="intercept", **settings):
        return gateway(to, smtp={"starttls": starttls}, certificate={"mx": ours.section}, **settings)

    return start


def session(gate, context=None):
    with gate.client(cls=TlsClient) as client:
        client.context = context or client_context()
        client.hello()
        assert client.cmd("QUIT").code == 221


def expect_certificate(tls, certificate):
    der = certificate.fingerprint
    assert tls["fingerprint_sha256"] == hashlib.sha256(der).hexdigest()
    assert tls["fingerprint"].replace(":", "") == hashlib.sha1(der).hexdigest()
    assert tls["subject"] == tls["issuerdn"] == f"CN={certificate.name}"
    assert tls["subjectaltname"] == [certificate.name]
    assert tls["chain_length"] == 1
    assert tls["notbefore"] < tls["notafter"] and len(tls["notafter"]) == 19
    assert tls["serial"].count(":") == 19


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_both_legs_stand_in_one_record_T15(tls_fake, tls_gateway, theirs, version):
    gate = tls_gateway(tls_fake({"1.2": "1.3", "1.3": "1.2"}[version]))
    session(gate, client_context(version, alpn=("smtp",)))
    record = gate.record("tls")
    tls, upstream = record["tls"], record["upstream"]
    assert (tls["action"], tls["rule"]) == ("intercepted", "starttls")
    assert tls["version"] == f"TLS {version}" and tls["cipher"].startswith("TLS_")
    assert upstream["version"] == {"1.2": "TLS 1.3", "1.3": "TLS 1.2"}[version]
    assert tls["sni"] == "mx.campus.example" and tls["client_alpns"] == ["smtp"]
    assert tls["ja4"].startswith("t" + version.replace(".", "") + "d")
    assert tls["session_resumed"] is False and upstream["session_resumed"] is False
    assert tls["verified"] is False and "self-signed" in tls["verify_error"]
    assert "failure" not in tls
    expect_certificate(tls, theirs)
    assert len(gate.records("tls")) == 1


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_what_passes_is_seen_from_beside_T7(tls_fake, tls_gateway, theirs, version):
    gate = tls_gateway(tls_fake(version), starttls="pass")
    session(gate)
    tls = gate.record("tls")["tls"]
    assert (tls["action"], tls["rule"]) == ("passed", "starttls")
    assert tls["version"] == f"TLS {version}" and tls["client_version"] == "TLS 1.3"
    assert tls["sni"] == "mx.campus.example" and tls["session_resumed"] is False
    assert tls["cipher"].startswith("TLS_") and tls["ja4"].startswith("t13d")
    if version == "1.2":
        expect_certificate(tls, theirs)
    else:
        assert "subject" not in tls  # it goes under encryption
    assert "verified" not in tls
    assert gate.flow()["flow"]["opaque"] is True
    assert len(gate.records("tls")) == 1


def test_a_client_that_does_not_trust_it_says_so_T_013(tls_fake, tls_gateway, theirs):
    gate = tls_gateway(tls_fake())
    with gate.client(cls=TlsClient) as client:
        client.context = client_context(trusted=theirs)  # not what the gateway shows
        with pytest.raises(ssl.SSLError):
            client.hello()
    tls = gate.record("tls")["tls"]
    assert tls["failure"] == "tls_alert"
    assert tls["client_alert"] == 48  # unknown_ca
    assert tls["ja4"] and tls["sni"] == "mx.campus.example"


def test_a_server_that_is_not_what_it_should_be_T_001(tls_fake, tls_gateway, theirs):
    gate = tls_gateway(tls_fake(), tls={"verify_inside": "enforce"})
    with gate.client(cls=TlsClient) as client:
        assert client.reply().code == 220
        assert client.cmd("EHLO client.example").code == 250
        assert client.cmd("STARTTLS").code == 454
    tls = gate.record("tls")["tls"]
    assert tls["failure"] == "tls_verify" and tls["verified"] is False
    assert "self-signed" in tls["verify_error"]
    expect_certificate(tls, theirs)
    assert "ja4" not in tls  # no client has said hello
