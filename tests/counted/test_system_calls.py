"""
How many system calls a worker makes for a session, forwarding, with everything looked at and written
down: clients that wait for each answer, one after the other. Only how often a worker wakes depends on who
is faster: it is counted by itself, and FTP's two connections are a little of a race, too.
"""

import signal
import subprocess

import pytest

import count
import lab as L
from ftp_peers import FakeFtp
from gateway import Gateway
from lab import wait_for
from peers import FakeServer
from retrieval_peers import FakeImap, FakePop3

SESSIONS = 20
MESSAGE = b"From: anna@good.example\r\nTo: otto@campus.example\r\nSubject: apples\r\n\r\n" + 50 * b"About apples.\r\n"


def smtp(client):
    client.hello()
    client.envelope()
    assert client.data(MESSAGE + b".\r\n").code == 250
    assert client.cmd("QUIT").code == 221


def pop3(client):
    client.login()
    assert client.retr(1) == MESSAGE
    client.quit()


def imap(client):
    client.login().select()
    assert client.fetch(1, "BODY.PEEK[]") == [MESSAGE]
    client.logout()


def ftp(client):
    client.login().binary()
    assert client.get("RETR report") == MESSAGE
    client.quit()


def servers(lab, protocol):
    made = {"smtp": lambda: FakeServer(lab.server, L.FAKE),
            "pop3": lambda: FakePop3(lab.server, L.FAKE, messages=[MESSAGE]),
            "imap": lambda: FakeImap(lab.server, L.FAKE, messages=[MESSAGE]),
            "ftp": lambda: FakeFtp(lab.server, L.FAKE, files={"report": MESSAGE})}
    return made[protocol]()


WAKES = "epoll_wait"
# protocol: (session, its system calls but for WAKES, and how many of these)
SESSION = {"smtp": (smtp, 47.5, 18), "pop3": (pop3, 40.5, 14), "imap": (imap, 40.5, 14), "ftp": (ftp, 93.5, 22)}


@pytest.fixture(scope="module")
def lab():
    with L.Lab() as one:
        yield one


def sessions(gate, session, n):
    for _ in range(n):
        with gate.client() as client:
            session(client)


def counted(gate, session, n=SESSIONS):
    """{system call: how many for one session}, of n"""
    worker, = gate.workers()
    before = len(gate.records("flow"))
    tracer = subprocess.Popen([count.tool("strace"), "-c", "-U", "name,calls", "-p", str(worker.pid)],
                              stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        sessions(gate, session, n)
        wait_for(lambda: len(gate.records("flow")) == before + n, what="records of all sessions")
    finally:
        tracer.send_signal(signal.SIGINT)
        summary = tracer.communicate(timeout=10)[1]
    return {name: calls / n for name, calls in count.calls_of(summary).items()}


def test_a_large_message_is_not_waited_for_piece_by_piece(lab):
    """What has filled the room is followed by another read; under strace the server is always faster."""
    large = MESSAGE + 200_000 * b"About many apples.......................\r\n"

    def session(client):
        client.login()
        assert client.retr(1) == large
        client.quit()

    with FakePop3(lab.server, L.FAKE, messages=[large]) as server:
        gate = Gateway(lab, (server.address, server.port), protocol="pop3")
        try:
            calls = counted(gate, session, 1)
        finally:
            gate.stop()
    assert len(large) / 65536 < calls["recvfrom"] < 3 * len(large) / 65536
    count.at_most(calls[WAKES] / calls["recvfrom"], 0.5, f"{WAKES} for a read of a large message ({calls})",
                  "strace -p WORKER, before and after")


@pytest.mark.parametrize("protocol", SESSION)
def test_a_session_makes_as_many_system_calls_as_it_did(protocol, lab):
    session, bound, wakes = SESSION[protocol]
    with servers(lab, protocol) as server:
        gate = Gateway(lab, (server.address, server.port), protocol=protocol,
                       smtp={"sender_domain": {"check": "off"}})
        try:
            sessions(gate, session, SESSIONS)  # what is made once is there
            calls = counted(gate, session)
        finally:
            gate.stop()
    listed = ", ".join(f"{name} {n:g}" for name, n in sorted(calls.items(), key=lambda c: -c[1]))
    how = "strace -p WORKER, before and after"
    count.at_most(calls.pop(WAKES), wakes, f"{WAKES} in a session of {protocol} ({listed})", how)
    count.within(sum(calls.values()), bound, f"system calls of a session of {protocol} ({listed})", how)
