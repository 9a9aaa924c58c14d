"""How much memory a worker has for a session that waits: of two crowds, the second one's, so that what is
there once is not in it. They come one after the other: what many hold at the same moment is another matter."""

import contextlib

import pytest

import count
import lab as L
import servers
from gateway import Gateway
from peers import Crowd

FEW, MANY = 100, 500
LIMITS = {"sessions_per_client": 1000, "pending_connects_per_client": 1000}


@pytest.fixture
def gate():
    with L.Lab() as lab, Crowd(lab.server, "serve", L.FAKE, 25):
        servers.Dns(lab)
        one = Gateway(lab, L.FAKE, mode="tproxy", workers=1, nofile=5000, limits=LIMITS)
        yield one
        one.stop()


def hold(gate, n, held):
    """Octets that n more sessions cost, which wait behind a command."""
    worker, = gate.workers()
    before = worker.own_memory("Pss_Anon")
    for _ in range(n):
        client = held.enter_context(gate.client())
        client.hello()
        assert client.cmd("NOOP").code == 250
    return worker.own_memory("Pss_Anon") - before


def test_an_SMTP_session_that_waits_holds_what_it_did(gate):
    with contextlib.ExitStack() as held:
        hold(gate, FEW, held)
        each = hold(gate, MANY, held) / MANY
    count.within(each, 3690, "octets of an SMTP session that waits",
                 "gdb build/postern: ptype /o struct smtp_gate, struct smtp, struct session")
