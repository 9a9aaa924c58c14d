"""
Logins that are tied to the two ends of one TLS connection, where it ends at the gateway: the list of
mechanisms stays as it is, and what fails has its reason, and the rule that would let the server by.
SECURITY cases T-030, T-031, T-032, P-008.
"""

import base64

import pytest

import lab as L
from peers import EHLO, FakeServer, RawClient
from retrieval_peers import FakeImap, FakePop3
from tls_peers import TlsClient, TlsImap, TlsPop3, starttls_reply

OFFERED = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL", "GSSAPI", "NTLM")


def words(*octets):
    return " ".join(base64.b64encode(o).decode() for o in octets)


P = words(b"p=tls-exporter,,n=anna,r=abcd")
Y = words(b"y,,n=anna,r=abcd")
N = words(b"n,,n=anna,r=abcd")
TOKEN = words(b"token")


class Smtp:
    name, client, auth, no = "smtp", TlsClient, "AUTH", b"535 5.7.8 no\r\n"

    @staticmethod
    def server(lab, context, mechanisms, replies):
        return FakeServer(lab.server, L.FAKE, ehlo=(*EHLO, "STARTTLS", "AUTH " + " ".join(mechanisms)),
                          replies={"STARTTLS": starttls_reply(context), **replies})

    @staticmethod
    def offers(client, tls=True):
        if tls:
            client.hello()
        else:
            RawClient.hello(client)
        text = client.cmd("EHLO x.example").text
        return next(line for line in text.splitlines() if "AUTH" in line).split("AUTH ")[1].split()


class Pop3:
    name, client, auth, no = "pop3", TlsPop3, "AUTH", b"-ERR [AUTH] no\r\n"

    @staticmethod
    def server(lab, context, mechanisms, replies):
        capa = b"+OK\r\nSTLS\r\nSASL " + " ".join(mechanisms).encode() + b"\r\n.\r\n"
        return FakePop3(lab.server, L.FAKE, replies={
            "CAPA": capa, "STLS": starttls_reply(context, b"+OK go\r\n"), **replies})

    @staticmethod
    def offers(client, tls=True):
        assert client.reply().ok
        if tls:
            assert client.cmd("STLS").ok
            client.wrap()
        line = next(line for line in client.lines("CAPA") if line.startswith(b"SASL "))
        return line.decode().split()[1:]


class Imap:
    name, client, auth, no = "imap", TlsImap, "AUTHENTICATE", b"<tag> NO [AUTHENTICATIONFAILED] no\r\n"

    @staticmethod
    def server(lab, context, mechanisms, replies):
        words = " ".join(f"AUTH={m}" for m in mechanisms)
        return FakeImap(lab.server, L.FAKE, capabilities=f"IMAP4rev1 STARTTLS SASL-IR {words}", replies={
            "STARTTLS": starttls_reply(context, b"<tag> OK go\r\n"), **replies})

    @staticmethod
    def offers(client, tls=True):
        client.greeting()
        if tls:
            assert client.cmd("STARTTLS").ok
            client.wrap()
        said = client.did("CAPABILITY").decode().split()
        return [word[5:] for word in said if word.startswith("AUTH=")]


every = pytest.mark.parametrize("kind", [Smtp, Pop3, Imap], ids=lambda kind: kind.name)


@pytest.fixture
def start(lab, gateway, ours, theirs):
    """start(kind): a gateway before a server that refuses every login."""
    made = []

    def make(kind, mechanisms=OFFERED, starttls="intercept", replies=None):
        server = kind.server(lab, theirs.server_context(), mechanisms, replies or {kind.auth: kind.no})
        made.append(server)
        own = {"starttls": starttls}
        if kind is Smtp:
            own["error_delay"] = 0
        return gateway(server, protocol=kind.name, certificate={"mx": ours.section}, **{kind.name: own})

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


def refused(kind, client, mechanism, response):
    said = client.cmd(f"{kind.auth} {mechanism} {response}")
    return said.code == 535 if kind is Smtp else not said.ok


@every
def test_the_list_stays_as_it_is_T_030_P_008(start, kind):
    gate = start(kind)
    with gate.client(cls=kind.client) as client:
        assert kind.offers(client) == list(OFFERED)


@every
@pytest.mark.parametrize("mechanism,response,why", [
    ("SCRAM-SHA-256-PLUS", P, "channel_binding"), ("SCRAM-SHA-256", Y, "channel_binding_missed"),
    ("EXTERNAL", "=", "client_certificate"), ("GSSAPI", TOKEN, "channel_binding_possible"),
    ("NTLM", TOKEN, "channel_binding_possible")],
    ids=["T_031-plus", "T_030-y", "T_012-external", "T_032-gssapi", "T_032-ntlm"])
def test_what_fails_has_its_reason(start, kind, mechanism, response, why):
    gate = start(kind)
    with gate.client(cls=kind.client) as client:
        kind.offers(client)
        assert refused(kind, client, mechanism, response)
    record = gate.record("tls", lambda r: "mechanism" in r["tls"])["tls"]
    assert (record["action"], record["failure"], record["mechanism"]) == ("intercepted", why, mechanism)
    assert record["rule_to_pass"] == (
        f'tls_rule "pass-{L.FAKE}" {{ protocols = {{"{kind.name}"}} servers = {{"{L.FAKE}"}} action = pass }}')
    assert "anna" not in str(record)


@every
@pytest.mark.parametrize("mechanism,response", [("PLAIN", words(b"\0anna\0wrong")), ("SCRAM-SHA-256", N)])
def test_a_wrong_password_is_no_such_thing_T_030(start, kind, mechanism, response):
    gate = start(kind)
    with gate.client(cls=kind.client) as client:
        kind.offers(client)
        assert refused(kind, client, mechanism, response)
    gate.flow()
    assert not [r for r in gate.records("tls") if "mechanism" in r["tls"]]


@every
def test_nor_is_y_where_no_PLUS_was_offered_T_030(start, kind):
    gate = start(kind, ("PLAIN", "SCRAM-SHA-256"))
    with gate.client(cls=kind.client) as client:
        kind.offers(client)
        assert refused(kind, client, "SCRAM-SHA-256", Y)
    gate.flow()
    assert not [r for r in gate.records("tls") if "mechanism" in r["tls"]]


@every
def test_nor_what_fails_in_the_clear_T_031(start, kind):
    gate = start(kind)
    with gate.client(cls=kind.client) as client:
        kind.offers(client, tls=False)
        assert refused(kind, client, "SCRAM-SHA-256-PLUS", P)
    gate.flow()
    assert not gate.records("tls")


@every
def test_nor_a_login_that_is_done_T_031(start, kind):
    """A server that does not look at the binding."""
    yes = {Smtp: b"235 2.7.0 in\r\n", Pop3: b"+OK in\r\n", Imap: b"<tag> OK in\r\n"}[kind]
    gate = start(kind, replies={kind.auth: yes})
    with gate.client(cls=kind.client) as client:
        kind.offers(client)
        assert not refused(kind, client, "SCRAM-SHA-256-PLUS", P)
    gate.flow()
    assert not [r for r in gate.records("tls") if "mechanism" in r["tls"]]
