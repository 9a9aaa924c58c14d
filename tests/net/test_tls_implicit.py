"""
TLS from the first octet on, and that the client's hello comes first: SNI and ALPN are carried over, and
what the server is decides what the client hears. SECURITY cases N-021, T-001, T-009, T-010; FIELD T1, O5.
"""

import ssl
import subprocess
import time

import pytest

import lab as L
from lab import can_connect, wait_for
from peers import WHOLE, RawClient
from tls_peers import Certificate, TlsClient, TlsConversation, client_context

MODES = ["forward", "tproxy"]
PORTS = {"smtp": 465, "pop3": 995, "imap": 993, "ftp": 990}
GREETINGS = {"smtp": b"220 fake.campus.example ESMTP\r\n", "pop3": b"+OK ready\r\n",
             "imap": b"* OK [CAPABILITY IMAP4rev1] ready\r\n", "ftp": b"220 ready\r\n"}
QUITS = {"smtp": (b"QUIT\r\n", b"221 2.0.0 Bye\r\n"), "pop3": (b"QUIT\r\n", b"+OK bye\r\n"),
         "imap": (b"a LOGOUT\r\n", b"* BYE\r\na OK bye\r\n"), "ftp": (b"QUIT\r\n", b"221 bye\r\n")}


@pytest.fixture(scope="session")
def named(lab):
    return Certificate(lab, "pop.campus.example")


class Server:
    """A FakeServer's way to speak TLS from the first octet on; keeps what hellos said."""

    def __init__(self, certificate, version=None, alpn=(), dialogue=None, before=None):
        self.context = certificate.server_context(version, alpn)
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        self.names, self.chosen = [], []
        self.dialogue, self.before = dialogue, before

    def __call__(self, conversation):
        if self.before:
            self.before(conversation)
        conversation.__class__ = TlsConversation
        conversation.wrap_with(self.context, server_side=True)
        self.chosen.append(conversation.sock.selected_alpn_protocol())
        self.dialogue(conversation)


@pytest.fixture
def tls_fake(fake, theirs, mode):
    def start(protocol="smtp", certificate=None, dialogue=None, **options):
        port = PORTS[protocol] if mode == "tproxy" else 0
        script = Server(certificate or theirs, dialogue=dialogue, **options)
        server = fake(script=script, port=port)
        script.dialogue = dialogue or server.serve
        server.tls = script
        return server

    return start


@pytest.fixture
def tls_gateway(gateway, ours, named, mode):
    def start(to, protocol="smtp", **settings):
        section = {"starttls": "intercept", **settings.pop(protocol, {})}
        if mode == "tproxy":
            section["tls_ports"] = [PORTS[protocol]]
            section["ports"] = [1]  # whatever it would be in the clear
        else:
            settings.setdefault("forward", {"mx": {"implicit_tls": True}})
        return gateway(to, protocol=protocol, **{protocol: section},
                       certificate={"mx": ours.section, "pop": named.section}, **settings)

    return start


def connect(gate, context=None, name="mx.campus.example", cls=TlsClient, **options):
    client = gate.client(cls=cls, **options)
    if context is not False:
        client.wrap(context, name)
    return client


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_mail_T1(tls_fake, tls_gateway, ours, version):
    server = tls_fake(version=version)
    gate = tls_gateway(server)
    with connect(gate, client_context(version, ours)) as client:
        assert "STARTTLS" not in RawClient.hello(client).text
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\n..dot\r\n.\r\n").code == 250
        assert client.cmd("STARTTLS").is_(554, "5.5.1")
        assert client.cmd("RCPT TO:<r@evil.example>").code in (503, 550)
        assert client.cmd("QUIT").code == 221
        assert client.closed() and client.heard_end
    server.ended()
    assert server.mails[0].content == b"Subject: x\r\n\r\n.dot\r\n"


@pytest.mark.parametrize("protocol", PORTS)
def test_every_protocol_O5(tls_fake, tls_gateway, protocol):
    said, answer = QUITS[protocol]
    heard = []

    def dialogue(conversation):
        conversation.send(GREETINGS[protocol])
        heard.append(conversation.line())
        conversation.send(answer)

    server = tls_fake(protocol, dialogue=dialogue)
    gate = tls_gateway(server, protocol)
    with connect(gate) as client:
        assert client.line()[:3] == GREETINGS[protocol][:3]
        client.send(said)
        assert client.rest(10) == answer
        assert client.heard_end
    assert heard == [said]
    assert gate.flow()["app_proto"] == protocol


@pytest.mark.parametrize("name,identity", [("mx.campus.example", "ours"),
                                           ("pop.campus.example", "named"), (None, "ours")])
def test_the_name_is_carried_over_T_009(request, tls_fake, tls_gateway, name, identity):
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate, name=name) as client:
        assert client.sock.getpeercert(True) == request.getfixturevalue(identity).fingerprint
        RawClient.hello(client)
    assert server.tls.names == [name]


@pytest.mark.parametrize("offered,server_has,chosen", [
    (("smtp",), ("smtp",), "smtp"), (("x-smtp-2", "smtp"), ("x-smtp-2",), "x-smtp-2"),
    (("smtp",), (), None), ((), ("smtp",), None)])
def test_the_protocol_is_carried_over_T_010(tls_fake, tls_gateway, offered, server_has, chosen):
    server = tls_fake(alpn=server_has)
    gate = tls_gateway(server)
    with connect(gate, client_context(alpn=offered)) as client:
        assert client.sock.selected_alpn_protocol() == chosen
        RawClient.hello(client)
    assert server.tls.chosen == [chosen]


def test_a_client_of_another_protocol_T_010(tls_fake, tls_gateway):
    gate = tls_gateway(tls_fake())
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        connect(gate, client_context(alpn=("http/1.1",)))


@pytest.mark.parametrize("verify", ["report", "enforce"])
def test_a_server_that_nobody_vouches_for_T_001(tls_fake, tls_gateway, verify):
    """The client hears it in the words of TLS, and no octet of a dialogue."""
    gate = tls_gateway(tls_fake(), tls={"verify_inside": verify})
    if verify == "report":
        with connect(gate) as client:
            RawClient.hello(client)
        return
    with pytest.raises(ssl.SSLError, match="handshake failure"):
        connect(gate)
    assert gate.flow()["flow"]["reason"] == "tls_verify"


def test_verified_by_the_name_that_the_client_said_T_001(tls_fake, tls_gateway, theirs):
    tls = {"verify_inside": "enforce", "trust": str(theirs.chain)}
    gate = tls_gateway(tls_fake(), tls=tls)
    with connect(gate, name="fake.campus.example") as client:
        RawClient.hello(client)
    with pytest.raises(ssl.SSLError, match="handshake failure"):
        connect(gate, name="mx.campus.example")


class Stapling:
    """openssl s_server: greets in TLS, and staples what its CA says of its certificate."""

    def __init__(self, lab, port, revoked):
        self.address, self.port = L.FAKE, port
        self.ca = Certificate(lab, "ca.example")
        self.own = Certificate(lab, "fake.campus.example", issuer=self.ca)
        folder = self.own.key.parent
        serial = subprocess.run(["openssl", "x509", "-in", self.own.chain, "-noout", "-serial"],
                                capture_output=True, text=True, check=True).stdout.strip()[7:]
        state = "R\t491231235959Z\t240101000000Z" if revoked else "V\t491231235959Z\t"
        (folder / "index").write_text(f"{state}\t{serial}\tunknown\t/CN={self.own.name}\n")
        subprocess.run(["openssl", "ocsp", "-index", folder / "index", "-CA", self.ca.chain, "-rsigner",
                        self.ca.chain, "-rkey", self.ca.key, "-issuer", self.ca.chain, "-cert",
                        self.own.chain, "-respout", folder / "staple", "-ndays", "7"],
                       check=True, capture_output=True)
        self.daemon = subprocess.Popen(
            lab.server.command("openssl", "s_server", "-accept", f"{L.FAKE}:{port}", "-cert",
                               self.own.chain, "-key", self.own.key, "-status_file", folder / "staple",
                               "-quiet"),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.daemon.stdin.write(GREETINGS["smtp"])
        self.daemon.stdin.flush()
        wait_for(lambda: can_connect(lab.server, L.FAKE, port), what="s_server")

    def close(self):
        self.daemon.kill()
        self.daemon.wait()
        self.daemon.stdin.close()


@pytest.mark.parametrize("revoked", [False, True], ids=["good", "revoked"])
def test_a_certificate_that_is_revoked_T_005(lab, tls_gateway, revoked):
    """Stapled; in the sandbox of a worker."""
    server = Stapling(lab, PORTS["smtp"], revoked)
    try:
        tls = {"verify_inside": "enforce", "trust": str(server.ca.chain)}
        gate = tls_gateway((server.address, server.port), tls=tls)
        if revoked:
            with pytest.raises(ssl.SSLError, match="handshake failure"):
                connect(gate, name=server.own.name)
            tls = gate.record("tls")["tls"]
            assert "revoked" in str(tls), tls
        else:
            connect(gate, name=server.own.name).close()
            assert "revoked" not in str(gate.record("tls")["tls"])
    finally:
        server.close()


@pytest.mark.parametrize("octets", [b"EHLO client.good.example\r\n", b"\x16\x03\x01\x00\x05hello",
                                    b"GET / HTTP/1.1\r\n\r\n", b"\0" * 300],
                         ids=["SMTP", "a-record-of-nonsense", "HTTP", "NUL"])
def test_a_client_that_speaks_no_TLS(tls_fake, tls_gateway, octets):
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate, False) as client:
        client.send(octets)
        assert b"220" not in client.rest(10)
    assert gate.flow()["flow"]["reason"] in ("tls_plain", "tls_handshake")
    assert octets not in server.octets  # if it was reached at all by then


def test_a_server_that_speaks_no_TLS(fake, tls_gateway, mode):
    server = fake(port=465 if mode == "tproxy" else 0)
    gate = tls_gateway(server)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(gate)
    assert gate.flow()["flow"]["reason"] == "tls_plain"


def test_no_server_at_all(gateway, tls_gateway, mode):
    gate = tls_gateway((L.FAKE, PORTS["smtp"] if mode == "tproxy" else 9))
    with connect(gate, False) as client:
        assert client.rest(10) == b""  # and nothing in the clear
    assert gate.flow()["flow"]["reason"] == "server_unreachable"


def test_a_hello_in_pieces_T_020(tls_fake, tls_gateway):
    """One octet a segment, in both directions, until TLS is there."""
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate, False) as client:
        inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(inside, outside, server_hostname="mx.campus.example")
        for _ in range(20):
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.send(outside.read(), "octets")
                client.fill(5)
                inside.write(client.exactly(len(client.pending)))
        client.send(outside.read(), "octets")
        client.fill(5)
        inside.write(client.exactly(len(client.pending)))
        while True:
            try:
                assert tls.read(3) == b"220"
                break
            except ssl.SSLWantReadError:
                client.fill(5)
                inside.write(client.exactly(len(client.pending)))


def test_passed_unread(tls_fake, tls_gateway, theirs):
    """The client sees the server itself."""
    server = tls_fake()
    gate = tls_gateway(server, smtp={"starttls": "pass"})
    with connect(gate) as client:
        assert client.sock.getpeercert(True) == theirs.fingerprint
        RawClient.hello(client)
        client.envelope("s@good.example", "r@evil.example")  # nobody looks
    server.ended()
    assert gate.flow()["flow"]["opaque"]


def test_passed_unread_but_TLS(tls_fake, tls_gateway):
    server = tls_fake()
    gate = tls_gateway(server, smtp={"starttls": "pass"})
    with connect(gate, False) as client:
        client.send(b"EHLO client.good.example\r\n", WHOLE)
        assert client.rest(10) == b""
    assert gate.flow()["flow"]["reason"] == "client_ahead_of_tls"


def test_refused(tls_fake, tls_gateway):
    server = tls_fake()
    gate = tls_gateway(server, smtp={"starttls": "refuse"})
    with pytest.raises(ssl.SSLError, match="access denied"):
        connect(gate)
    assert gate.flow()["flow"]["reason"] == "tls_refused"
    assert not server.conversations


@pytest.mark.parametrize("mode", ["forward"])
def test_the_server_is_introduced_to_the_client_ahead_of_TLS(fake, theirs, tls_gateway):
    """PROXY protocol, in the clear, then TLS."""
    lines = []

    def one_line(conversation):  # and no octet more: the handshake may be right behind it
        octets = b""
        while not octets.endswith(b"\r\n"):
            octets += conversation.sock.recv(1)
        lines.append(octets)

    script = Server(theirs, before=one_line)
    server = fake(script=script)
    script.dialogue = server.serve
    gate = tls_gateway(server, forward={"mx": {"implicit_tls": True, "send_proxy": "v1"}})
    with connect(gate) as client:
        RawClient.hello(client)
    assert lines[0].startswith(b"PROXY TCP4 ")


@pytest.mark.parametrize("mode", ["forward"])
def test_handshakes_that_stall_N_021(fake, tls_gateway):
    """A server that says nothing: the client, whose hello waits for it, hears an alert."""
    server = fake(script=lambda conversation: time.sleep(40))
    gate = tls_gateway(server)
    began = time.monotonic()
    client = gate.client(cls=TlsClient)
    client.timeout = 40
    with client, pytest.raises(ssl.SSLError, match="handshake failure"):
        client.wrap()
    assert 25 < time.monotonic() - began < 34
    assert gate.flow()["flow"]["reason"] == "tls_timeout"
