"""
Workers that do not do what they are told, and reloads that meet each other: SECURITY cases A-019, A-024; FIELD
rows R1, R3.
"""

import resource
import select
import signal
import subprocess
import socket
import struct
import time
from pathlib import Path

import pytest

import lab as L
from gateway import pidfd_getfd
from lab import wait_for


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


def test_a_worker_that_does_not_start_ends_its_reload_R1(lab, fake, gateway):
    """The old generation goes on, and the next SIGHUP is heeded."""
    library, stall = lab.dir / "stall.so", lab.dir / "stall"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library,
                    Path(__file__).parent / "preload/stall.c"], check=True)
    gate = gateway(fake(port=25), workers=1,
                   env={"LD_PRELOAD": str(library), "STALL_WORKERS": str(stall)})
    stall.touch()
    gate.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reload refused" in gate.stderr, 30, "the end of the reload", 0.1)
    assert "worker stuck (slot 0): it did not begin to serve in time" in gate.stderr
    with gate.client() as client:
        client.hello()
    stall.unlink()
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
    assert "worker stuck (slot 0): it did not end in time" in gate.stderr
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
        worker.signal(signal.SIGKILL)
        gate.record("stats", lambda r: "worker_died" in r["stats"])


def test_nothing_is_said_of_workers_that_retire_R1(fake, gateway):
    gate = gateway(fake(port=25), workers=2)
    for _ in range(3):
        gate.reload()
    wait_for(lambda: len(gate.workers()) == 2, 10, "the old ones to end")
    assert "worker " not in gate.stderr, gate.stderr


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
    for sock in listeners(gate.workers()[0]):
        sock.shutdown(socket.SHUT_RDWR)
    if then == "crash":
        gate.kill_worker()
        wait_for(gate.workers, 5, "another worker")
    else:
        gate.reload()
    with gate.client() as client:
        client.hello()


def listeners(process):
    """Copies of the sockets on which process listens, as it could use them if it was taken over."""
    for fd, what in process.descriptors().items():
        if not what.startswith("socket:"):
            continue
        with socket.socket(fileno=pidfd_getfd(process.pid, fd)) as sock:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and \
                    sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield sock


def test_a_listener_that_a_worker_has_made_blocking_blocks_no_other_A_019(fake, gateway):
    gate = gateway(fake(port=25), workers=1)
    for sock in listeners(gate.workers()[0]):
        sock.setblocking(True)
    gate.kill_worker()
    first = gate.client()
    first.hello()
    with gate.client() as second:
        second.hello()
        assert first.cmd("NOOP").code == 250
    first.close()


def test_sockets_that_cannot_be_made_are_said_A_016(fake, gateway):
    """Sessions wait for them, and go on when they can be made again."""
    gate = gateway(fake(port=25), workers=1, limits={"sessions_per_client": 400,
                                                     "pending_connects_per_client": 400})
    before = resource.prlimit(gate.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (4, before[1]))
    clients = [gate.client() for _ in range(250)]
    gate.record("stats", lambda r: "sockets_missing" in r["stats"])
    wait_for(lambda: "sockets missing" in gate.stderr, what="that it is said")
    assert gate.stderr.count("sockets missing") == 1
    resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, before)
    for client in clients:
        client.hello()
        client.close()


def test_without_descriptors_the_policy_route_is_left_alone_A_016(fake, gateway):
    """It is looked at when rules change, and what is there is not taken for somebody else's."""
    gate = gateway(fake(port=25), workers=1)
    with gate.client() as client:  # its worker has sockets to servers from here on
        client.hello()
    before = resource.prlimit(gate.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (4, before[1]))
    try:
        gate.namespace.ip("rule add from 203.0.113.77 lookup main priority 30000")
        time.sleep(1)  # the news come at once
        assert "firewall" not in gate.stderr
        with gate.client() as client:
            client.hello()
    finally:
        gate.namespace.ip("rule del priority 30000")
        resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, before)


CONTROL = 3
RETIRE, READY, MORE_SOCKETS, EXPECT, COUNT, LISTEN, BIND, ANSWER, LOG_ROTATE = \
    4, 6, 8, 9, 12, 13, 14, 15, 19


def message(kind, a=0, b=0, source=None, destination=None, port=0):
    """As proxy/ipc.h has it: addresses of IPv4."""
    ends = b"".join(struct.pack("=I16s", 4 if ip else 0, socket.inet_aton(ip) if ip else b"")
                    for ip in (source, destination))
    return struct.pack("=III40sH2x16x", kind, a, b, ends, port)


GARBAGE = {
    "short": b"\5\0\0\0",
    "of no type": message(99),
    "not its to send": message(RETIRE),
    "sockets of no family": message(MORE_SOCKETS, 5, 1),
    "too many sockets": message(MORE_SOCKETS, 4, 100000),
    "ready twice": message(READY),
    "an answer": message(ANSWER),
    "F_002 a hole to SMTP": message(EXPECT, 1, 30, L.CLIENT, L.FAKE, 25),
    "a hole for ever": message(EXPECT, 1, 100000, L.CLIENT, L.FAKE, 2000),
    "F_014 a hole for anybody": message(EXPECT, 1, 30, None, L.FAKE, 2000),
    "listening on a port": message(LISTEN, 1, 0, None, L.GATEWAY, 2525),
    "listening everywhere": message(LISTEN, 1, 0, None, "0.0.0.0"),
    "speaking from port 25": message(BIND, 1, 0, None, L.FAKE, 25),
}


@pytest.mark.parametrize("message", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_from_a_worker_ends_that_worker_V_001(fake, gateway, message):
    gate = gateway(fake(port=25), workers=2)
    wait_for(lambda: len(gate.workers()) == 2, 5, "two workers")
    taken, other = gate.workers()
    with socket.socket(fileno=pidfd_getfd(taken.pid, CONTROL)) as sock:
        sock.send(message)
    wait_for(lambda: not taken.alive(), 5, "its end")
    gate.record("stats", lambda r: "worker_garbage" in r["stats"])
    wait_for(lambda: len(gate.workers()) == 2, 5, "another one in its place")
    assert other in gate.workers()


def test_a_worker_that_asks_and_does_not_listen_V_004(fake, gateway):
    """One answer waits for it in the supervisor, which goes on, and it goes on too."""
    gate = gateway(fake(port=25), workers=2)
    wait_for(lambda: len(gate.workers()) == 2, 5, "two workers")
    deaf, _ = gate.workers()
    before = gate.supervisor().own_memory("Pss_Anon")
    deaf.signal(signal.SIGSTOP)
    sent = 0
    with socket.socket(fileno=pidfd_getfd(deaf.pid, CONTROL)) as sock:
        while sent < 100000:  # until nobody takes them any more, for a while
            try:
                sock.send(message(EXPECT, 1 << 31 | sent, 30, L.CLIENT, L.FAKE, 1024 + sent % 60000),
                          socket.MSG_DONTWAIT)
                sent += 1
            except BlockingIOError:
                try:
                    wait_for(lambda: select.select([], [sock], [], 0)[1], 1, "room")
                except TimeoutError:
                    break
    assert 0 < sent < 100000
    assert gate.supervisor().own_memory("Pss_Anon") - before < 1 << 20
    gate.reload()  # which it can, while one waits for the other
    deaf.signal(signal.SIGCONT)
    wait_for(lambda: not deaf.alive(), 15, "its end, as it was told")
    with gate.client() as client:
        client.hello()
    assert "worker garbage" not in gate.stderr


def test_garbage_from_the_logger_ends_it_V_001(fake, gateway):
    gate = gateway(fake(port=25))
    taken = gate.logger()
    with socket.socket(fileno=pidfd_getfd(taken.pid, CONTROL)) as sock:
        sock.send(message(READY))
    wait_for(lambda: not taken.alive(), 5, "its end")
    gate.record("stats", lambda r: "logger_restarted" in r["stats"])


def test_the_logger_alone_does_not_say_when_the_log_is_rotated_L14(fake, gateway):
    """One that was taken over would be rid of all old records so."""
    gate = gateway(fake(port=25), rotation={"size": 1048576, "keep": 2})
    gate.record("stats")
    with socket.socket(fileno=pidfd_getfd(gate.logger().pid, CONTROL)) as sock:
        for _ in range(3):
            sock.send(message(LOG_ROTATE))
    gate.reload()  # the supervisor has read them
    assert not list(gate.log.parent.glob(gate.log.name + ".*"))
