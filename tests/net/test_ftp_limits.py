"""
Many transfers, few descriptors: what FTP sessions may take is there when they take it. SECURITY case
A-016; bounded memory of many transfers at once.
"""

import threading

import pytest

from lab import wait_for

MODES = ["tproxy", "forward"]
HELD = 20  # blocked downloads at once


def opened(gate, **options):
    client = gate.client(**options)
    client.way = "EPSV"
    return client.login().binary()


def endless(c, data, verb, name):
    try:
        while True:
            data.sock.send(b"x" * 100_000)
    except OSError:
        return b"426 cut\r\n"


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "spliced"])
@pytest.mark.parametrize("mode", ["forward"])
def test_many_blocked_transfers_cost_what_is_said(fake_ftp, gateway, inspect):
    """Each holds a ring, or a pipe in the kernel, and no more; all of it is given back."""
    gate = gateway(fake_ftp(transfer=endless), ftp={"inspect": inspect}, workers=1)
    worker = gate.workers()[0]
    clients = [opened(gate) for _ in range(HELD)]
    before = len(worker.descriptors())
    since = worker.own_memory("Pss_Anon")  # shares of files grow when others' gateways end
    streams = [client.begin("RETR down")[0] for client in clients]
    for data in streams:
        data.exactly(1000)
    wait_for(lambda: len(worker.descriptors()) >= before + 2 * HELD, what="legs")
    assert len(worker.descriptors()) <= before + 4 * HELD + 16
    grown = worker.own_memory("Pss_Anon") - since
    assert grown < HELD * (100 << 10) + (1 << 20), grown
    for client, data in zip(clients, streams):
        data.reset()
        client.close()
    wait_for(lambda: len(worker.descriptors()) <= before - HELD + 16, 10, what="descriptors")


@pytest.mark.parametrize("mode", ["forward"])
def test_ftp_sessions_leave_room_for_their_transfers_A_016(fake_ftp, gateway):
    """With room for ten of them, ten have their data connections, and the next one waits its turn."""
    server = fake_ftp(files={"a": b"hello"})
    gate = gateway(server, workers=1, nofile=600 + 16 + 64 + 60)
    clients = [opened(gate) for _ in range(10)]
    said = []

    def eleventh():
        with opened(gate, timeout=20) as client:
            said.append(client.get("RETR a"))

    late = threading.Thread(target=eleventh)
    late.start()
    for client in clients:
        assert client.get("RETR a") == b"hello"
    late.join(1)
    assert not said
    clients.pop().close()
    late.join(10)
    assert said == [b"hello"]
    for client in clients:
        client.close()


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("how", [b"430 wrong\r\n", b"421 too many tries, bye\r\n"], ids=["430", "421"])
def test_a_failed_login_is_counted_whatever_the_server_calls_it_P8(fake_ftp, gateway, how):
    """Some servers end the session with the last password that they put up with: a new one is no way out."""
    server = fake_ftp(replies={"PASS": how})
    gate = gateway(server, limits={"auth_failures_per_minute": 2})
    for _ in range(2):
        with gate.client() as client:
            assert client.reply().code == 220
            assert client.cmd("USER u").code == 331
            assert client.cmd("PASS wrong").code == int(how[:3])
    with gate.client() as client:
        assert client.reply().code == 220
        assert client.cmd("USER u").code == 331
        assert client.cmd("PASS wrong").code == 530
    assert sum(line.startswith(b"PASS") for line in server.commands) == 2
    record = gate.record("ftp", lambda r: "verdict" in r)
    assert (record["verdict"]["rule"], record["verdict"]["reason"]) == ("limits", "auth_failures")
