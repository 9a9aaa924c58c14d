"""
Workers that do not do what they are told, and reloads that meet each other: SECURITY cases A-019, A-024; FIELD
rows R1, R3.
"""

import ctypes
import os
import signal
import socket
import time
from pathlib import Path

import pytest

import lab as L
from lab import wait_for

PIDFD_OPEN, PIDFD_GETFD = 434, 438  # Python has no names for them


@pytest.fixture
def mode():
    return "tproxy"


def held(client, seconds):
    """How long the session of client goes on, at most so many seconds."""
    began = time.monotonic()
    client.sock.settimeout(seconds)
    try:
        client.sock.recv(100)
    except (TimeoutError, ConnectionResetError):
        pass
    return time.monotonic() - began


def children(pid):
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_a_worker_that_does_not_start_ends_its_reload_R1(fake, gateway):
    """The old generation goes on, and the next SIGHUP is heeded."""
    gate = gateway(fake(port=25), workers=1)
    settled = children(gate.pid)
    gate.process.send_signal(signal.SIGHUP)
    while not (new := children(gate.pid) - settled):
        pass
    os.kill(int(min(new)), signal.SIGSTOP)
    wait_for(lambda: "reload refused" in gate.stderr, 30, "the end of the reload", 0.1)
    assert "worker_stuck: it did not begin to serve in time" in gate.stderr
    with gate.client() as client:
        client.hello()
    gate.reload()


def test_a_worker_that_does_not_end_is_killed_when_told_twice_R3(fake, gateway):
    gate = gateway(fake(port=25), workers=1, drain=30)
    gate.workers()[0].signal(signal.SIGSTOP)
    gate.process.terminate()
    time.sleep(0.2)
    gate.process.terminate()
    began = time.monotonic()
    gate.process.wait(25)
    assert time.monotonic() - began < 10
    assert "worker_stuck: it did not end in time" in gate.stderr
    gate.stop()


def test_each_generation_has_the_time_it_was_given_R1(fake, gateway):
    """A second reload with another drain takes nothing from the sessions of the first."""
    gate = gateway(fake(port=25), workers=1, drain=8)
    old = gate.client()
    old.hello()
    gate.reload()
    began = time.monotonic()
    gate.configure(workers=1, drain=0)
    gate.reload()
    held(old, 20)
    old.close()
    assert 6 < time.monotonic() - began < 12


def test_a_retiring_worker_that_dies_is_said_A_019(fake, gateway):
    gate = gateway(fake(port=25), workers=1, drain=30)
    with gate.client() as client:
        client.hello()
        worker = gate.owner(client)
        gate.reload()
        worker.signal(signal.SIGSEGV)
        gate.record("stats", lambda r: "worker_died" in r["stats"])


def test_nothing_is_said_of_workers_that_retire_R1(fake, gateway):
    gate = gateway(fake(port=25), workers=2)
    for _ in range(3):
        gate.reload()
    wait_for(lambda: len(gate.workers()) == 2, 10, "the old ones to end")
    assert "worker_" not in gate.stderr, gate.stderr


def test_reload_into_another_mode_R1(fake, gateway):
    """The same ports, on other addresses: our own listeners are nobody else's."""
    server = fake(port=25)
    gate = gateway(server, workers=2)
    for mode, sees in (("redirect", False), ("tproxy", True)):
        gate.configure(workers=2, intercept={"mode": mode})
        gate.reload()
        with gate.client() as client:
            client.hello()
        assert (server.ended(-1).peer[0] == L.CLIENT) == sees


def ctxt_switches(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if "ctxt_switches" in line)


def test_a_retired_worker_is_not_woken_by_new_clients_A_024(fake, gateway):
    """Its successor has descriptors of the same listeners."""
    gate = gateway(fake(port=25), workers=1, drain=60)
    with gate.client() as client:
        client.hello()
        old = gate.owner(client)
        gate.reload()
        wait_for(lambda: len(gate.workers()) == 2, 5, "both generations")
        time.sleep(0.5)
        before = ctxt_switches(old)
        for _ in range(100):
            with gate.client() as other:
                other.hello()
        assert ctxt_switches(old) - before < 50
        client.cmd("QUIT")


@pytest.mark.parametrize("then", ["crash", "reload"])
def test_a_listener_that_a_worker_has_shut_down_is_made_anew_A_019(fake, gateway, then):
    """It shares the socket with the supervisor, and so what shutdown() does to it."""
    gate = gateway(fake(port=25), workers=1)
    worker = gate.workers()[0]
    shut_listeners(worker)
    if then == "crash":
        gate.kill_worker()
    else:
        gate.reload()
    with gate.client() as client:
        client.hello()


def shut_listeners(process):
    """As a process that was taken over would."""
    libc = ctypes.CDLL(None)
    pidfd = libc.syscall(PIDFD_OPEN, process.pid, 0)
    assert pidfd >= 0
    for fd, what in process.descriptors().items():
        if not what.startswith("socket:"):
            continue
        copy = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
        assert copy >= 0
        with socket.socket(fileno=copy) as sock:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and \
                    sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.shutdown(socket.SHUT_RDWR)
    os.close(pidfd)
