"""
Which certificate a client is shown, what the rules make of TLS, and who may resume which session:
SECURITY cases T-009, T-018, T-022; FIELD rows T1, T17.
"""

import socket
import ssl
import warnings

import pytest

from lab import wait_for
from peers import EHLO, RawClient
from tls_peers import Certificate, TlsClient, TlsConversation, client_context, starttls_reply

TLS = (*EHLO, "STARTTLS")


@pytest.fixture(scope="session")
def certificates(lab):
    return {name: Certificate(lab, name) for name in
            ("one.campus.example", "other.campus.example", "new.campus.example")}


@pytest.fixture
def server(fake, certificates):
    context = certificates["other.campus.example"].server_context()
    return fake(ehlo=TLS, replies={"STARTTLS": starttls_reply(context)})


@pytest.fixture
def gate(gateway, server, certificates):
    def start(**settings):
        sections = {"mx": certificates["one.campus.example"].section,
                    "other": {**certificates["other.campus.example"].section,
                              "servers": ["192.0.2.0/24"]}}
        return gateway(server, **{"certificate": sections, **settings})

    return start


def shown(gate, name):
    """The certificate that a client gets that asks for name."""
    with gate.client(cls=TlsClient) as client:
        super(TlsClient, client).hello("client.good.example", "EHLO")
        client.upgrade(name=name)
        return client.sock.getpeercert(True)


def test_a_certificate_for_each_name_T_009(gate, certificates):
    """By the name that is asked for; whoever asks for none, or a strange one: by the address."""
    mine = gate()
    assert shown(mine, "one.campus.example") == certificates["one.campus.example"].fingerprint
    assert shown(mine, "other.campus.example") == certificates["other.campus.example"].fingerprint
    assert shown(mine, "OTHER.campus.example") == certificates["other.campus.example"].fingerprint
    assert shown(mine, "strange.example") == certificates["one.campus.example"].fingerprint
    assert shown(mine, None) == certificates["one.campus.example"].fingerprint


def test_a_reload_shows_the_new_one_and_ends_nothing_R1(gate, certificates, tmp_path):
    old, new = certificates["one.campus.example"], certificates["new.campus.example"]
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(old.chain.read_bytes())
    key.write_bytes(old.key.read_bytes())
    key.chmod(0o600)
    mine = gate(certificate={"mx": {"chain": str(chain), "key": str(key)}}, drain=60)
    with mine.client(cls=TlsClient) as client:
        client.hello()
        assert client.sock.getpeercert(True) == old.fingerprint
        chain.write_bytes(new.chain.read_bytes())
        key.write_bytes(new.key.read_bytes())
        mine.reload()
        assert shown(mine, None) == new.fingerprint
        client.envelope()  # the session that was there goes on
        assert client.cmd("QUIT").code == 221
    wait_for(lambda: len(mine.workers()) == 1, 20, "the old generation's end")


def session_of(gate, context, session=None, **options):
    """One EHLO under TLS: (resumed, the session to resume the next time, which worker)."""
    with gate.client(cls=TlsClient, **options) as client:
        super(TlsClient, client).hello("client.good.example", "EHLO")
        assert client.cmd("STARTTLS").code == 220
        worker = gate.owner(client)
        client.sock = context.wrap_socket(client.sock, server_hostname="one.campus.example",
                                          session=session)
        assert client.cmd("NOOP").code in (250, 503)  # TLS 1.3: the tickets have come
        return client.sock.session_reused, client.sock.session, worker


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_any_worker_resumes_T_018(gate, version):
    """Of four workers two at least are asked; a ticket of before a reload is good too."""
    mine = gate(workers=4)
    context = client_context(version)
    resumed, session, first = session_of(mine, context)
    assert not resumed
    others = set()
    for _ in range(40):
        resumed, session, worker = session_of(mine, context, session)
        assert resumed
        others |= {worker} - {first}
        if others:
            break
    assert others
    mine.reload()
    resumed, session, _ = session_of(mine, context, session)
    assert resumed


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_no_tickets_where_none_are_wanted(gate, version):
    mine = gate(tls={"session_tickets": False})
    context = client_context(version)
    _, session, _ = session_of(mine, context)
    if session is not None:
        assert not session_of(mine, context, session)[0]


# ---- rules ----


def test_a_rule_lets_a_server_by_T_022(gate, server, certificates):
    """The client sees the server's own certificate."""
    mine = gate(tls_rule={"own": {"protocols": ["smtp"], "servers": [server.address],
                                  "action": "pass"}})
    assert shown(mine, None) == certificates["other.campus.example"].fingerprint


def test_a_rule_refuses_TLS(gate):
    mine = gate(tls_rule={"none": {"action": "refuse"}})
    with mine.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == 454
        assert client.cmd("NOOP").code == 250


def test_a_rule_refuses_a_name(gate, certificates):
    """Which is known when the handshake is under way."""
    mine = gate(tls_rule={"none": {"server_names": ["other.campus.example"], "action": "refuse"}})
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown(mine, "other.campus.example")
    assert shown(mine, "one.campus.example") == certificates["one.campus.example"].fingerprint


def test_no_mail_in_the_clear_where_TLS_is_required(gate, server):
    mine = gate(smtp={"starttls": "require"})
    with mine.client() as client:
        client.hello()
        for command in ("MAIL FROM:<anna@good.example>", "EXPN list", "VRFY x"):
            answer = client.cmd(command)
            assert answer.text == "530 5.7.0 Must issue a STARTTLS command first"
        assert client.cmd("NOOP").code == 250
    with mine.client(cls=TlsClient) as client:
        client.hello()
        client.envelope()


def test_handshakes_of_a_client_are_limited_T_020(gate):
    mine = gate(limits={"tls_handshakes_per_minute": 3})
    for _ in range(3):
        shown(mine, None)
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError, socket.timeout)):
        shown(mine, None)
    mine.record("flow", lambda r: r["flow"]["reason"] == "tls_client_rate")


def old_context(certificate, version):
    """A server of long ago."""
    context = certificate.server_context()
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_server_of_long_ago_needs_a_rule_T_006(gateway, fake, certificates, version):
    context = old_context(certificates["other.campus.example"], version)
    old = fake(ehlo=TLS, replies={"STARTTLS": starttls_reply(context)})
    sections = {"mx": certificates["one.campus.example"].section}
    mine = gateway(old, certificate=sections)
    with mine.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == 454
    mine.configure(certificate=sections,
                   tls_rule={"old": {"servers": [old.address], "old_versions": True}})
    mine.reload()
    with mine.client(cls=TlsClient) as client:
        client.hello()
        assert client.sock.version() == "TLSv1.3"  # whatever the server speaks
        client.envelope()


def test_what_a_certificate_must_be_is_a_rules_matter_too_T_001(gate, server, certificates):
    mine = gate(tls_rule={"strict": {"servers": [server.address], "verify": "enforce"}})
    with mine.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == 454
    mine.configure(certificate={"mx": certificates["one.campus.example"].section},
                   tls={"verify_inside": "enforce"},
                   tls_rule={"lax": {"servers": [server.address], "verify": "report"}})
    mine.reload()
    shown(mine, None)


# ---- a name that is let by ----


def implicit(fake, gateway, certificates, **settings):
    """A gateway before a server that speaks TLS from the first octet on; and that server."""
    context = certificates["other.campus.example"].server_context()

    def script(conversation):
        conversation.__class__ = TlsConversation
        conversation.wrap_with(context, server_side=True)
        server.serve(conversation)

    server = fake(script=script)
    sections = {"one": certificates["one.campus.example"].section}
    return gateway(server, certificate=sections, forward={"mx": {"implicit_tls": True}}, **settings)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_name_that_is_let_by_T_022(fake, gateway, certificates, version):
    """Its client shakes hands with the server itself; every other one with the gateway."""
    mine = implicit(fake, gateway, certificates, tls_rule={
        "own": {"server_names": [".campus.example"], "action": "pass"}})
    context = client_context(version)
    for name, seen in (("other.campus.example", "other.campus.example"),
                       ("strange.example", "one.campus.example")):
        with mine.client(cls=TlsClient) as client:
            client.wrap(context, name)
            assert client.sock.getpeercert(True) == certificates[seen].fingerprint
            RawClient.hello(client)
            client.envelope()
            assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250


def test_a_long_hello_that_is_let_by_T_020(fake, gateway, certificates):
    """Many names of ALPN: more than a segment has; and it comes in pieces."""
    mine = implicit(fake, gateway, certificates, tls_rule={
        "own": {"server_names": [".campus.example"], "action": "pass"}})
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = client_context(alpn=[f"protocol-{i:04}" for i in range(1000)])
    tls = context.wrap_bio(incoming, outgoing, server_hostname="other.campus.example")
    with mine.client() as client:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        assert len(hello) > 10_000
        for at in range(0, len(hello), 997):
            client.sock.sendall(hello[at:at + 997])
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sock.sendall(outgoing.read())
                incoming.write(client.sock.recv(65536))
        assert tls.getpeercert(True) == certificates["other.campus.example"].fingerprint
