"""Servers, clients and the gateway itself that die: SECURITY cases A-008 to A-013, A-027, A-031, A-032."""

import signal
import time

import pytest

import lab as L
from lab import wait_for
from peers import Closed

MODES = ["forward", "tproxy"]

MESSAGE = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 10 + b".\r\n"


def dies_in_data(after, how):
    """A server whose connection ends when it has read so many octets of a message."""

    def script(c):
        c.send(b"220 doomed ESMTP\r\n")
        for answer in (b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            c.command()
            c.send(answer)
        c.exactly(after)
        getattr(c, how)()

    return script


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("after", [10, 2_000_000], ids=["early", "late"])
def test_server_gone_inside_a_message_A_008(fake, gateway, after, how):
    server = fake(script=dies_in_data(after, how))
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        client.send(b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 250_000)
        client.send(b".\r\n")
        answer = client.reply()
        assert answer.is_(451, "4.3.0") or answer.is_(421, "4.3.0"), answer
        if answer.code == 451:
            assert client.cmd("NOOP").code == 421
        assert client.closed()
    assert len(server.conversations) == 1  # nothing is ever tried again
    gate.flow()


def no_answer(c):
    """Takes a whole message and goes without a word."""
    c.send(b"220 mute ESMTP\r\n")
    for answer in (b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        c.command()
        c.send(answer)
    c.until(b"\r\n.\r\n")


def test_server_gone_before_its_reply_A_009_A_031(fake, gateway):
    server = fake(script=no_answer)
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(MESSAGE).code == 421
        assert client.closed()
    assert "in_doubt" in str(gate.record("smtp"))
    time.sleep(0.2)
    assert len(server.conversations) == 1
    assert server.octets.count(b"Subject: x") == 1


@pytest.mark.parametrize("end", ["close", "reset"])
def test_client_gone_after_the_end_mark_A_010(fake, gateway, end):
    server = fake(replies={".": lambda c, line: time.sleep(0.5)})
    gate = gateway(server)
    client = gate.client()
    client.hello()
    client.envelope()
    assert client.cmd("DATA").code == 354
    client.send(MESSAGE)
    wait_for(lambda: server.mails, what="the message")
    getattr(client, end)()
    record = gate.record("smtp")
    assert any(r["code"] == 250 and r["source"] == "server" and r["command"] in (".", "DATA")
               for r in record["smtp"]["replies"]), record
    assert set(server.ended().verbs()) <= {"EHLO", "MAIL", "RCPT", "DATA", "QUIT"}


def test_quit_behind_the_end_mark_and_gone_A_032(fake, gateway):
    server = fake(replies={".": lambda c, line: time.sleep(0.3)})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        client.send(MESSAGE + b"QUIT\r\n")
    record = gate.record("smtp")
    assert any(r["code"] == 250 and r["source"] == "server" and r["command"] in (".", "DATA")
               for r in record["smtp"]["replies"]), record
    server.ended()
    assert len(server.mails) == 1


@pytest.mark.parametrize("end", ["close", "reset", "finish"])
@pytest.mark.parametrize("point", [b"Subj", b"Subject: x\r\n\r\nbody\r\n", b"Subject: x\r\n\r\nb\r\n.",
                                   b"Subject: x\r\n\r\nb\r\n.\r"],
                         ids=["header", "body", "dot", "dot-CR"])
def test_client_gone_inside_a_message(fake, gateway, point, end):
    server = fake()
    gate = gateway(server)
    client = gate.client()
    client.hello()
    client.envelope()
    assert client.cmd("DATA").code == 354
    client.send(point)
    getattr(client, end)()
    got = server.ended()
    assert not server.mails
    assert not got.received.endswith(b".\r\n")
    assert "QUIT" not in got.verbs()
    client.close()
    assert gate.record("smtp")


def test_refused_after_the_body_A_012(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(b"Subject: x\r\n\r\n" + b"good line\r\n" * 20000 + b"bad\nline\r\n.\r\n")
        assert answer.is_(550, "5.5.2")
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 421
        assert client.closed()
    got = server.ended()
    assert b"good line" in got.received and not server.mails
    assert "QUIT" not in got.verbs()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_gateway_ends_inside_a_message_A_013(fake, gateway, how):
    server = fake()
    gate = gateway(server, drain=0)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        client.send(b"Subject: x\r\n\r\nbody\r\n")
        wait_for(lambda: b"body" in server.octets, what="the body")
        if how == signal.SIGKILL:
            gate.kill()
        else:
            gate.stop()
        try:
            assert b"250" not in client.rest(5)
        except OSError:
            pass
    server.ended()
    assert not server.mails


def test_drain_lets_a_message_finish(fake, gateway):
    server = fake()
    gate = gateway(server, drain=5)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        gate.process.terminate()
        time.sleep(0.3)
        client.send(MESSAGE)
        assert client.reply().code == 250
    assert len(server.mails) == 1


def test_second_sigterm_ends_the_drain(fake, gateway):
    """Whoever asks twice wants it now; records are written all the same."""
    gate = gateway(fake(), drain=60)
    with gate.client() as client:
        client.hello()
        client.envelope()
        gate.process.terminate()
        assert client.silent(0.3)
        began = time.monotonic()
        gate.stop()
        assert time.monotonic() - began < 5
    assert gate.records("smtp") and gate.records("flow")


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "silent"])
def test_server_unreachable_A_027(lab, gateway, silent):
    to = (L.NOBODY_THERE, 25) if silent else (L.FAKE, 1)
    gate = gateway(to, limits={"connect_timeout": 2})
    with gate.client() as client:
        began = time.monotonic()
        assert client.reply().code == 421
        assert client.closed()
        assert time.monotonic() - began < 5
    assert gate.flow()["flow"]["state"] == "new"


@pytest.mark.parametrize("greeting", [b"554 5.3.2 not today\r\n", b"421 4.3.2 later\r\n"])
def test_greeting_that_refuses(fake, gateway, greeting):
    gate = gateway(fake(replies={"GREETING": greeting}))
    with gate.client() as client:
        assert client.reply().octets == greeting


def test_server_gone_between_commands(fake, gateway):
    def script(c):
        c.send(b"220 short ESMTP\r\n")
        c.command()
        c.send(b"250 hi\r\n")

    gate = gateway(fake(script=script))
    with gate.client() as client:
        assert client.reply().code == 220
        assert client.cmd("EHLO x.example").code == 250
        got = client.rest(5)
        assert got.startswith(b"421 ") or got == b"", got
    gate.flow()


def test_server_says_421_in_the_middle(fake, gateway):
    def bye(conversation, line):
        conversation.send(b"421 4.3.2 shutting down\r\n")
        raise Closed()

    gate = gateway(fake(replies={"RCPT": bye}))
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        assert client.cmd("RCPT TO:<otto@campus.example>").text == "421 4.3.2 shutting down"
        assert client.closed()


def test_many_sessions_at_once(fake, gateway):
    server = fake()
    gate = gateway(server, limits={"pending_connects_per_client": 40})
    clients = [gate.client() for _ in range(40)]
    for client in clients:
        client.hello()
    for i, client in enumerate(clients):
        client.envelope("anna@good.example", f"u{i}@campus.example")
    for client in clients:
        client.send(b"DATA\r\n")
    for client in clients:
        assert client.reply().code == 354
        client.send(MESSAGE)
    for client in clients:
        assert client.reply().code == 250
        assert client.cmd("QUIT").code == 221
        client.close()
    assert sorted(m.recipients[0] for m in server.mails) == sorted(
        f"u{i}@campus.example" for i in range(40))
    wait_for(lambda: len(gate.records("flow")) == 40, what="forty records of flows")


def test_client_port_scans(fake, gateway):
    """Connect and reset, a hundred times: nothing is left over."""
    gate = gateway(fake(), limits={"pending_connects_per_client": 200,
                                   "sessions_per_client": 200})
    for _ in range(100):
        gate.client().reset()
    with gate.client() as client:
        client.hello()
    wait_for(lambda: len(gate.records("flow")) == 101, what="records of all")


def test_keepalive_of_nothing(fake, gateway):
    """A client that connects and says nothing holds no processor."""
    gate = gateway(fake())
    with gate.client() as client:
        client.hello()
        before = gate.cpu()
        time.sleep(0.5)
        assert gate.cpu() - before < 0.1
