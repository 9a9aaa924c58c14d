"""
A server that offered STARTTLS (STLS), and does not now: somebody on the way may have taken it out.
SECURITY case N-014.
"""

import time

import pytest

import lab as L
from peers import EHLO, Closed, FakeServer, RawClient
from retrieval_peers import FakeImap, FakePop3, ImapClient, Pop3Client


class Smtp:
    name, client = "smtp", RawClient

    @staticmethod
    def server(lab, offered):
        def ehlo(conversation, line):
            lines = [*EHLO, "STARTTLS"] if offered[0] else EHLO
            return ("250-fake\r\n" + "".join(f"250-{x}\r\n" for x in lines[:-1])
                    + f"250 {lines[-1]}\r\n").encode()

        return FakeServer(lab.server, L.FAKE, replies={"EHLO": ehlo})

    @staticmethod
    def ask(client):
        client.reply()
        return client.cmd("EHLO client.good.example").code == 250


class Pop3:
    name, client = "pop3", Pop3Client

    @staticmethod
    def server(lab, offered):
        def capa(conversation, line):
            return b"+OK\r\nTOP\r\nUIDL\r\n" + (b"STLS\r\n" if offered[0] else b"") + b".\r\n"

        return FakePop3(lab.server, L.FAKE, replies={"CAPA": capa})

    @staticmethod
    def ask(client):
        client.reply()
        return b"TOP" in client.lines("CAPA")


class Imap:
    name, client = "imap", ImapClient

    @staticmethod
    def server(lab, offered):
        def words():
            return b"IMAP4rev1 SASL-IR" + (b" STARTTLS" if offered[0] else b"")

        return FakeImap(lab.server, L.FAKE, replies={
            "GREETING": b"* OK ready\r\n",
            "CAPABILITY": lambda c, line: b"* CAPABILITY " + words() + b"\r\n<tag> OK done\r\n"})

    @staticmethod
    def ask(client):
        client.greeting()
        return b"IMAP4rev1" in client.did("CAPABILITY")


every = pytest.mark.parametrize("kind", [Smtp, Pop3, Imap], ids=lambda kind: kind.name)


@pytest.fixture
def start(lab, gateway):
    """start(kind, stripped, ...): a gateway; and a list whose only element says whether STARTTLS is there."""
    made = []

    def make(kind, stripped=None, **settings):
        offered = [True]
        made.append(kind.server(lab, offered))
        tls = {} if stripped is None else {"tls": {"stripped": stripped}}
        return gateway(made[-1], protocol=kind.name, **tls, **settings), offered

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


def ask(kind, gate):
    """What comes of a session; and time for the supervisor, which hears of the server beside it."""
    with gate.client(cls=kind.client) as client:
        try:
            return kind.ask(client)
        except (Closed, AssertionError):
            return False
        finally:
            time.sleep(0.3)


def stripped(gate):
    return [r for r in gate.records("anomaly") if r["anomaly"]["event"] == "starttls_stripped"]


@every
@pytest.mark.parametrize("policy", [None, "report"])
def test_it_is_recorded_N_014(start, kind, policy):
    """Once for each session; a server that never had it is no such thing."""
    gate, offered = start(kind, policy)
    offered[0] = False
    assert ask(kind, gate)
    offered[0] = True
    assert ask(kind, gate)
    assert not stripped(gate)
    offered[0] = False
    for n in (1, 2):
        assert ask(kind, gate)
        gate.anomaly("starttls_stripped")
        assert len(stripped(gate)) == n


@every
def test_it_is_refused_N_014(start, kind):
    gate, offered = start(kind, "enforce")
    assert ask(kind, gate)
    offered[0] = False
    assert not ask(kind, gate)
    gate.anomaly("starttls_stripped")
    gate.record("flow", lambda r: r["flow"]["reason"] == "starttls_stripped")
    offered[0] = True
    assert ask(kind, gate)


def test_the_words_of_the_refusal_N_014(start):
    gate, offered = start(Smtp, "enforce")
    assert ask(Smtp, gate)
    offered[0] = False
    with gate.client() as client:
        client.reply()
        assert client.cmd("EHLO x.example").is_(451, "4.7.0")
        assert client.closed()
    gate, offered = start(Imap, "enforce")
    assert ask(Imap, gate)
    offered[0] = False
    with gate.client() as client:
        client.greeting()
        client.send(b"a CAPABILITY\r\n")
        assert b"* BYE" in client.rest(5)


@every
def test_nobody_looks_N_014(start, kind):
    gate, offered = start(kind, "off")
    assert ask(kind, gate)
    offered[0] = False
    assert ask(kind, gate)
    gate.flow()
    assert not stripped(gate)


def test_all_workers_know_and_a_reload_forgets_nothing_N_014(start):
    """A restart does: nothing is in a file."""
    gate, offered = start(Smtp, workers=4)
    assert ask(Smtp, gate)
    offered[0] = False
    for n in range(1, 9):
        assert ask(Smtp, gate)
        gate.record("flow", lambda r: len(stripped(gate)) == n)
    gate.reload()
    assert ask(Smtp, gate)
    gate.record("flow", lambda r: len(stripped(gate)) == 9)
    for worker in gate.workers():
        gate.kill_worker()
    assert ask(Smtp, gate)
    gate.record("flow", lambda r: len(stripped(gate)) == 10)
    gate.stop()
    gate.start()
    assert ask(Smtp, gate)
    gate.stop()
    assert len(stripped(gate)) == 10
