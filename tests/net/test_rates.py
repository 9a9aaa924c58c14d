"""What one client may do within a minute, over all its sessions: FIELD row P8."""

import base64
import threading

import lab as L
from peers import EHLO

WRONG = base64.b64encode(b"\0anna\0wrong").decode()
REFUSED = b"535 5.7.8 Error: authentication failed\r\n"


def test_sessions_P8(fake, gateway):
    gate = gateway(fake(), limits={"sessions_per_minute": 3})
    for _ in range(3):
        with gate.client() as client:
            client.hello()
    for _ in range(2):
        with gate.client() as client:
            assert client.reply().is_(421, "4.7.0")
            assert client.closed()
    with gate.client(L.CLIENT_OTHER) as client:
        client.hello()
    assert gate.record("flow", lambda r: r["flow"]["reason"] == "client_rate")
    verdict = gate.record("smtp", lambda r: "verdict" in r)["verdict"]
    assert (verdict["rule"], verdict["reason"]) == ("limits", "client_rate")


def test_sessions_of_a_network_P8(fake, gateway):
    """An IPv6 client has more addresses than any limit."""
    server = fake(L.FAKE6)
    gate = gateway((L.FAKE, server.port), to6=(L.FAKE6, server.port),
                   limits={"sessions_per_minute": 2})
    for source in (L.CLIENT6, L.OUTSIDE6 + "3"):
        with gate.client(source, v6=True) as client:
            client.hello()
    with gate.client(v6=True) as client:
        assert client.reply().is_(421, "4.7.0")


def test_messages_P8(fake, gateway):
    """Of all sessions of a client together; those that are open go on otherwise."""
    server = fake()
    gate = gateway(server, limits={"messages_per_minute": 3})
    with gate.client() as one, gate.client() as two, gate.client(L.CLIENT_OTHER) as other:
        for client in (one, two, other):
            client.hello()
        for client in (one, two, one):
            client.envelope()
            assert client.data("Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        for client in (two, one):
            answer = client.cmd("MAIL FROM:<anna@good.example>")
            assert answer.is_(451, "4.7.1"), answer
            assert client.cmd("NOOP").code == 250
        other.envelope()
    assert len(server.mails) == 3
    record = gate.record("smtp", lambda r: "verdict" in r)
    assert (record["verdict"]["rule"], record["verdict"]["reason"]) == ("limits", "message_rate")


def test_recipients_P8(fake, gateway):
    """Those that were taken get the mail; whoever does not stop asking is shut out."""
    server = fake()
    gate = gateway(server, limits={"recipients_per_minute": 5}, smtp={"recipients": 100})
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        codes = [client.cmd(f"RCPT TO:<u{i}@campus.example>").code for i in range(100)]
        assert codes == 5 * [250] + 95 * [451]
        assert client.data("Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        codes = [client.cmd(f"RCPT TO:<u{i}@campus.example>").code for i in range(121)]
        assert codes == 120 * [451] + [421]
    assert [len(mail.recipients) for mail in server.mails] == [5]


def test_logins_at_once_P8(fake, gateway):
    """Many sessions do not get more tries than one: what has no answer yet counts."""
    hold = threading.Event()

    def refuse(c, line):
        hold.wait(10)
        return REFUSED

    server = fake(ehlo=(*EHLO, "AUTH PLAIN"), replies={"AUTH": refuse})
    gate = gateway(server, limits={"auth_failures_per_minute": 4})
    clients = [gate.client() for _ in range(8)]
    try:
        for client in clients:
            client.hello()
            client.send(f"AUTH PLAIN {WRONG}\r\n")
        for client in clients[4:]:
            assert client.reply().is_(454, "4.7.0")
        hold.set()
        for client in clients[:4]:
            assert client.reply().is_(535, "5.7.8")
    finally:
        hold.set()
        for client in clients:
            client.close()
    assert sum(line.startswith(b"AUTH") for line in server.commands) == 4
    record = gate.record("smtp", lambda r: "verdict" in r)
    assert (record["verdict"]["rule"], record["verdict"]["reason"]) == ("limits", "auth_failures")


def test_logins_that_succeed_P8(fake, gateway):
    server = fake(ehlo=(*EHLO, "AUTH PLAIN"))
    gate = gateway(server, limits={"auth_failures_per_minute": 2})
    for _ in range(5):
        with gate.client() as client:
            client.hello()
            assert client.cmd(f"AUTH PLAIN {WRONG}").code == 235
