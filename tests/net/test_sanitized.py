"""
One session of each kind through the build with AddressSanitizer and UBSan.

Gateway.stop() fails the test when a sanitizer reported anything, leaks at the end included.
"""

import signal

import pytest

import lab as L
from gateway import SANITIZED
from peers import EHLO, OCTETS, Closed
from test_starttls import TLS, tls_server

MODES = ["forward", "tproxy"]
MESSAGE = b"Subject: x\r\n\r\n..dot\r\nline\r\n.\r\n"


@pytest.fixture
def sanitized(gateway):
    def make(to, **options):
        return gateway(to, binary=SANITIZED, **options)

    return make


def test_mails(fake, sanitized):
    server = fake()
    gate = sanitized(server)
    with gate.client() as client:
        client.hello()
        for _ in range(3):
            client.envelope("anna@good.example", "otto@campus.example", "emma@campus.example")
            assert client.data(MESSAGE).code == 250
        assert client.cmd("QUIT").code == 221
    assert len(server.mails) == 3


def test_octet_by_octet(fake, sanitized):
    server = fake()
    gate = sanitized(server)
    with gate.client() as client:
        client.hello()
        client.send(b"MAIL FROM:<anna@good.example>\r\nRCPT TO:<otto@campus.example>\r\n"
                    b"RCPT TO:<u%evil.example@campus.example>\r\nBDAT 20\r\nSubject: x\r\n\r\nabcdef"
                    b"BDAT 3 LAST\r\nxyzNOOP\r\nQUIT\r\n", OCTETS)
        assert [client.reply().code for _ in range(7)] == [250, 250, 550, 250, 250, 250, 221]
    assert len(server.mails) == 1


@pytest.mark.parametrize("bare_newline", ["reject", "normalize"])
def test_smuggling(fake, sanitized, bare_newline):
    gate = sanitized(fake(), smtp={"bare_newline": bare_newline})
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(b"Subject: x\r\n\r\na\n.\nb\r.\rc\0\r\n.\r\n", OCTETS)
        assert answer.code == (550 if bare_newline == "reject" else 250)


def test_senders_and_resolver(fake, sanitized):
    gate = sanitized(fake(), smtp={"sender_domain": {"budget": 1}})
    with gate.client() as client:
        client.hello()
        for domain in ("nosuch", "nullmx", "ipmx", "localhostmx", "servfail", "slow", "big",
                       "loop1", "deadmx", "privatemx"):
            client.cmd(f"MAIL FROM:<a@{domain}.example>")
            assert client.cmd("RSET").code == 250


def test_gone_while_dns_is_asked(fake, sanitized):
    gate = sanitized(fake())
    client = gate.client()
    client.hello()
    client.send("MAIL FROM:<a@slow.example>\r\n")
    client.reset()
    gate.flow()


def test_authentication_and_records(fake, sanitized):
    gate = sanitized(fake(ehlo=(*EHLO, "AUTH PLAIN LOGIN"), replies={"RCPT": b"550 \xff\x1b no\r\n"}))
    with gate.client() as client:
        client.hello()
        assert client.cmd("AUTH PLAIN AGFubmEAeA==").code == 235
        assert client.cmd("MAIL FROM:<a\x1b@good.example>").code in (250, 501, 500)
        client.cmd("MAIL FROM:<a@good.example>")
        assert client.cmd("RCPT TO:<r@evil.example>").code == 550
    gate.record("smtp")


def test_tls_passed(lab, fake, sanitized):
    gate = sanitized(fake(ehlo=TLS, replies={"STARTTLS": tls_server(lab)}),
                     smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == 220
        client.start_tls()
        assert client.cmd("EHLO x.example").code == 250
    gate.flow()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_server_dies(fake, sanitized, end):
    def script(c):
        c.send(b"220 x\r\n")
        for answer in (b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            c.command()
            c.send(answer)
        c.line()
        getattr(c, end)()

    gate = sanitized(fake(script=script))
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(b"x: y\r\n" * 50000 + b"\r\n.\r\n").code in (421, 451)


@pytest.mark.parametrize("answer", [b"250-x\r\n" * 300, b"hello\r\n", b"250 a\r\n250 b\r\n"])
def test_bad_replies(fake, sanitized, answer):
    gate = sanitized(fake(replies={"NOOP": answer}))
    with gate.client() as client:
        client.hello()
        client.send("NOOP\r\n")
        client.rest(5)


def test_unreachable_and_limits(sanitized):
    gate = sanitized((L.FAKE, 1), limits={"sessions_per_client": 2})
    for _ in range(3):
        with gate.client() as client:
            assert client.reply().code == 421


def test_end_with_sessions_under_way(fake, sanitized):
    """In a message, in a look-up, in a chunk, idle: everything is given back."""
    gate = sanitized(fake(), drain=0)
    clients = [gate.client() for _ in range(4)]
    for client in clients:
        client.hello()
    clients[0].envelope()
    assert clients[0].cmd("DATA").code == 354
    clients[1].send("MAIL FROM:<a@slow.example>\r\n")
    clients[2].envelope()
    clients[2].send("BDAT 100\r\nabc")
    gate.process.send_signal(signal.SIGTERM)
    for client in clients:
        try:
            client.rest(5)
        except (Closed, OSError):
            pass
        client.close()
