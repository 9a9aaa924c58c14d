"""
Servers outside, seen through: clients are shown leaves that the gateway's own CA has signed, which mirror
the server's certificate, or leaves that nobody trusts where it could not be verified. SECURITY cases
T-001, T-004, T-013, T-016, T-017, V-001, V-006, V-009.
"""

import ssl

import pytest

import lab as L
from outside_peers import (NAME, PORTS, Authorities, Issued, outside_server, parsed, trusting)
from tls_peers import Certificate, TlsClient, TlsImap, TlsPop3, client_context

MODES = ["forward", "tproxy"]
CLIENTS = {"smtp": TlsClient, "pop3": TlsPop3, "imap": TlsImap}


@pytest.fixture(scope="module")
def authorities(lab):
    return Authorities(lab)


@pytest.fixture(scope="module")
def world(lab):
    """The CA of the servers outside, which the gateway trusts."""
    return Certificate(lab, "ca.world.example")


@pytest.fixture(scope="module")
def good(lab, world):
    return Issued(lab, issuer=world, subject="/C=DE/L=Town/O=Outside Ltd")


@pytest.fixture
def outside(lab, mode):
    """Makes servers outside: outside("imap", certificate, ...)."""
    made = []

    def make(protocol, certificate, **options):
        namespace, address = (lab.client, L.CLIENT_OTHER) if mode == "tproxy" else (lab.server, L.FAKE)
        if mode == "tproxy" and options.get("implicit", True):
            options.setdefault("port", PORTS[protocol])
        elif "port" not in options:
            options["port"] = 0
        made.append(outside_server(namespace, address, protocol, certificate, **options))
        made[-1].protocol = protocol
        return made[-1]

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


@pytest.fixture
def intercepting(gateway, authorities, world, mode):
    """Starts a gateway before such a server."""

    def start(server, implicit=True, tls=None, **settings):
        protocol = server.protocol
        section = {"starttls": "intercept", **settings.pop(protocol, {})}
        tls = {**authorities.settings, "trust": str(world.chain), **(tls or {})}
        if mode == "tproxy":
            if implicit:
                section["tls_ports"] = [server.port]
                section["ports"] = [1]
        else:
            settings.setdefault("forward", {"mx": {"implicit_tls": implicit, "outside": True}})
        return gateway(server, protocol=protocol, **{protocol: section}, tls=tls, **settings)

    return start


@pytest.fixture
def connect(lab, mode):
    """A client inside, connected and wrapped."""

    def start(gate, context, name=NAME, **options):
        where = {"source": L.SINK, "namespace": lab.server} if mode == "tproxy" else {}
        client = gate.client(cls=CLIENTS[gate.protocol], **where, **options)
        if context is not None:
            client.wrap(context, name)
        return client

    return start


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("rsa", [False, True], ids=["ecdsa", "rsa"])
def test_imaps_T_017(lab, world, authorities, outside, intercepting, connect, rsa, version):
    """End to end: the client trusts our CA, and sees the server's subject, names, kind of key and end."""
    real = Issued(lab, issuer=world, rsa=rsa, subject="/C=DE/L=Town/O=Outside Ltd", ends=3,
                  alternatives=f"DNS:{NAME},DNS:*.outside.example,IP:192.0.2.9,IP:2001:db8::9")
    server = outside("imap", real, version=version)
    gate = intercepting(server)
    context = trusting(authorities.trusted)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, "TLSv1_" + version[-1])
    with connect(gate, context) as client:
        client.login()
        leaf, der = client.sock.getpeercert(), client.sock.getpeercert(True)
        client.did("SELECT INBOX")
        client.logout()
    assert server.names == [NAME]
    assert der != real.fingerprint
    facts, theirs = parsed(der), parsed(real.fingerprint)
    assert facts["subject"] == theirs["subject"] == f"CN={NAME},O=Outside Ltd,L=Town,C=DE"
    assert sorted(facts["names"]) == sorted(theirs["names"]) and len(facts["names"]) == 4
    assert facts["notAfter"] == theirs["notAfter"]
    assert "Postern interception CA" in facts["issuer"]
    assert leaf["serialNumber"] != theirs["serial"] and len(leaf["serialNumber"]) == 32
    record = gate.record("tls")["tls"]
    assert record["verified"] and record["subject"].endswith(f"CN={NAME}") and "failure" not in record
