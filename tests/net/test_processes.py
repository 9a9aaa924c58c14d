"""
The processes: what each may, what becomes of the others when one dies, and changes while they run.
SECURITY cases A-014, A-015, A-016, A-019, A-023, A-024, A-025, V-001, V-006, V-008; FIELD rows D11, L14, R1,
R3, R6, R7.
"""

import datetime
import os
import re
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

import lab as L
from lab import LabError, wait_for
from load import Steady, idle_sessions
from peers import Crowd, knock

NOBODY = 65534


@pytest.fixture
def mode():
    return "tproxy"


def ended(client):
    """True when the other side has ended the connection, or does so within a moment."""
    client.sock.settimeout(3)
    try:
        return client.sock.recv(100) == b""
    except ConnectionResetError:
        return True
    except (TimeoutError, socket.timeout):
        return False


def open_clients(gate, n):
    """n sessions that have said EHLO."""
    clients = [gate.client() for _ in range(n)]
    for client in clients:
        client.hello()
    return clients


def settled(gate, workers=2):
    """Waits until there are so many workers, and a logger."""
    wait_for(lambda: len(gate.workers()) == workers and gate.logger(), 20, f"{workers} workers")


def confined(process):
    """Waits until the sandbox has closed: "postern: ready" does not wait for every process."""
    wait_for(lambda: process.status().get("Seccomp") == "2", 5, f"the sandbox of {process}")


# ---- what each may ---------------------------------------------------------------------------------


def test_who_there_is_V_001(fake, gateway):
    gate = gateway(fake(port=25), workers=2)

    def all_there():
        roles = sorted(process.role for process in gate.supervisor().children())
        return roles == ["logger", "status-process", "worker", "worker"]

    wait_for(all_there, 5, "the four processes")
    assert all(not process.children() for process in gate.supervisor().children())


@pytest.mark.parametrize("role", ["worker", "logger", "status-process"])
def test_what_they_may_V_001_V_006_D11(fake, gateway, role):
    """As the kernel sees it: a user of its own, no capability, no way to gain one, a filter."""
    gate = gateway(fake(port=25), workers=2)

    def found():
        return [p for p in gate.supervisor().children() if p.role == role]

    processes = wait_for(found, 5, role)
    assert len(processes) == (2 if role == "worker" else 1)
    for process in processes:
        confined(process)
        status = process.status()
        assert set(status["Uid"].split()) == {str(NOBODY)}, status["Uid"]
        assert set(status["Gid"].split()) == {str(NOBODY)}, status["Gid"]
        assert status.get("Groups", "").split() in ([], [str(NOBODY)])
        for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[which], 16) == 0, (which, status[which])
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        # what may not be dumped belongs to root in /proc, whoever it runs as
        assert os.stat(f"/proc/{process.pid}/environ").st_uid == 0
        assert Path(f"/proc/{process.pid}/limits").read_text().split("Max core file size")[1] \
            .split()[0] == "0"


def descriptors_that_stay_open(process):
    """Those that a program started by process would find open."""
    stay = []
    for fd in process.descriptors():
        try:
            text = Path(f"/proc/{process.pid}/fdinfo/{fd}").read_text()
        except FileNotFoundError:
            continue  # closed meanwhile
        flags = re.search(r"^flags:\s*(\d+)", text, re.MULTILINE)
        if not int(flags.group(1), 8) & os.O_CLOEXEC:
            stay.append(fd)
    return stay


def netlink_sockets(gate):
    """Inodes of the netlink sockets of the gateway's namespace."""
    rows = Path(f"/proc/{gate.pid}/net/netlink").read_text().splitlines()[1:]
    return {f"socket:[{row.split()[9]}]" for row in rows}


def test_what_they_have_open_V_001(fake, gateway):
    gate = gateway(fake(port=25), workers=2)
    netlink, files = netlink_sockets(gate), [str(gate.log)]
    for process in gate.processes():
        if process != gate.supervisor():
            confined(process)
        assert set(descriptors_that_stay_open(process)) <= {0, 1, 2}, process
        opened = {fd: what for fd, what in process.descriptors().items() if fd > 2}
        paths = [what for what in opened.values() if what.startswith("/")
                 and not what.startswith(("/dev/null", "/dev/urandom", "/memfd:"))]
        if process.role == "worker":
            assert paths == [], paths
        elif process.role == "logger":
            assert set(paths) <= set(files), paths
        if process != gate.supervisor():
            assert not set(opened.values()) & netlink, f"{process} could keep the tables alive"


def test_logger_has_no_network_V_001(fake, gateway):
    gate = gateway(fake(port=25))
    tables = "".join(Path(f"/proc/{gate.pid}/net/{name}").read_text()
                     for name in ("tcp", "tcp6", "udp", "udp6", "raw", "packet"))
    inodes = {f"socket:[{number}]" for number in re.findall(r"\b\d+\b", tables)}
    assert not inodes & set(gate.logger().descriptors().values())


def test_root_is_no_user_for_workers_V_008(gateway):
    with pytest.raises(LabError, match="user"):
        gateway(user="root")


# ---- one of them dies ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT],
                         ids=lambda number: number.name)
def test_a_worker_dies_A_019(fake, gateway, number):
    """Only its sessions end; within a second another one serves in its place."""
    gate = gateway(fake(port=25), workers=2, limits={"sessions_per_client": 100})
    clients = open_clients(gate, 30)
    owners = [gate.owner(client) for client in clients]
    victim = gate.workers()[0]
    assert 0 < owners.count(victim) < 30
    gate.kill_worker(0, number)
    died = time.monotonic()
    wait_for(lambda: len(gate.workers()) == 2, 10, "another worker")
    took = time.monotonic() - died
    print(f"restarted after {took:.3f} s")
    assert took < 3
    for client, owner in zip(clients, owners):
        if owner == victim:
            assert ended(client)
        else:
            assert client.cmd("NOOP").code == 250
        client.close()
    for client in open_clients(gate, 20):  # both slots serve
        client.close()
    assert "worker_died" in str(gate.record("stats", lambda r: "died" in str(r)))


def test_the_logger_dies(fake, gateway):
    """Sessions notice nothing, and what comes after it is written."""
    gate = gateway(fake(port=25), workers=2)
    logger = gate.logger()
    with gate.client() as client:
        client.hello()
        logger.signal(signal.SIGKILL)
        wait_for(lambda: not logger.alive(), what="death of the logger")
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        client.cmd("QUIT")
    assert gate.logger() != logger
    gate.record("smtp")
    gate.flow()


def test_three_deaths_in_ten_seconds_A_019(fake, gateway):
    """
    The slot rests with its listeners closed: refused is better than left waiting for nobody. Then
    there is service again.
    """
    gate = gateway(fake(port=25), workers=1)
    for n in range(3):
        settled(gate, 1)
        gate.kill_worker()
    died = time.monotonic()
    wait_for(lambda: "worker rests" in gate.stderr, 5, "the slot to rest")
    assert knock(gate.lab.client, L.FAKE) == "refused"
    wait_for(lambda: knock(gate.lab.client, L.FAKE, timeout=2) == "220", 40, "service again", 0.2)
    print(f"service again after {time.monotonic() - died:.1f} s")


def test_a_slot_that_rests_takes_no_share_of_the_clients_A_019(fake, gateway):
    gate = gateway(fake(port=25), workers=2, limits={"sessions_per_client": 100,
                                                     "pending_connects_per_client": 100})
    for n in range(20):  # the first that dies is replaced at the other end of the list
        if "worker rests" in gate.stderr:
            break
        settled(gate)
        gate.kill_worker(-1)
    wait_for(lambda: "worker rests" in gate.stderr, 5, "the slot to rest")
    for client in open_clients(gate, 40):
        client.close()


def test_the_supervisor_dies(fake, gateway):
    """Nobody goes on without it."""
    gate = gateway(fake(port=25), workers=2)
    wait_for(lambda: len(gate.supervisor().children()) == 4, 5, "the four processes")
    others = gate.supervisor().children()
    gate.process.send_signal(signal.SIGKILL)
    began = time.monotonic()
    wait_for(lambda: not any(p.alive() for p in others), 5, "the end of all", 0.001)
    print(f"all gone after {(time.monotonic() - began) * 1000:.1f} ms")
    assert time.monotonic() - began < 2
    gate.kill()


# ---- told to end, to read its configuration, to open its log ---------------------------------------


def test_sigterm_drains_R3(fake, gateway):
    """Who is in a message finishes it; who comes new is not served any more."""
    server = fake(port=25)
    gate = gateway(server, workers=2, drain=20)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        gate.process.terminate()
        wait_for(lambda: knock(gate.lab.client, L.FAKE, timeout=2) in ("refused", "reset", "421"),
                 10, "new sessions to be refused", 0.1)
        client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
        assert client.reply().code == 250
        client.cmd("QUIT")
    began = time.monotonic()
    gate.stop()
    print(f"ended {time.monotonic() - began:.2f} s after the last session")
    assert time.monotonic() - began < 15
    assert len(server.mails) == 1


def may_relay(client):
    """Whether RCPT for other.example is taken in this session."""
    assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
    code = client.cmd("RCPT TO:<otto@other.example>").code
    assert client.cmd("RSET").code == 250
    return code == 250


def test_reload_is_for_new_sessions_R1(fake, gateway):
    gate = gateway(fake(port=25), workers=2, drain=60)
    with gate.client() as old:
        old.hello()
        assert not may_relay(old)
        gate.configure(workers=2, drain=60,
                       smtp={"relay": {"local_domains": ["campus.example", "other.example"]}})
        gate.reload()
        with gate.client() as new:
            new.hello()
            assert may_relay(new)
        assert not may_relay(old)  # the policy that it began with
        old.cmd("QUIT")
    settled(gate)


def test_reload_moves_the_firewall(fake, gateway):
    """A further port, and a client that is never touched from now on."""
    here, there = fake(port=25), fake(port=2525)
    gate = gateway(here)
    for server in (here, there):
        with gate.client(to=(server.address, server.port)) as client:
            client.hello()
            client.cmd("XPROBE")
    assert (b"XPROBE\r\n" in there.commands) and (b"XPROBE\r\n" not in here.commands)
    gate.configure(smtp={"ports": [25, 2525]}, intercept={"bypass": [L.CLIENT_OTHER]})
    gate.reload()
    with gate.client(to=(there.address, there.port)) as client:
        client.hello()
        client.cmd("XAGAIN")
    with gate.client(L.CLIENT_OTHER) as client:
        client.hello()
        client.cmd("XOTHER")
    assert b"XAGAIN\r\n" not in there.commands and b"XOTHER\r\n" in here.commands


FAULTY = {
    "syntax": ("smtp {\n", r":\d+: "),
    "semantics": ("workers = 2\nsmtp { starttls = perhaps }\n", r":2: .*starttls"),
}


@pytest.mark.parametrize("text,says", FAULTY.values(), ids=FAULTY.keys())
def test_a_faulty_file_changes_nothing_A_025_R1(fake, gateway, text, says):
    gate = gateway(fake(port=25), workers=2)
    before, good = gate.workers(), gate.file.read_text()
    with gate.client() as client:
        client.hello()
        gate.file.write_text(text)
        gate.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reload refused" in gate.stderr, 10, "the refusal")
        assert re.search(re.escape(str(gate.file)) + says, gate.stderr), gate.stderr
        assert client.cmd("NOOP").code == 250
    assert gate.workers() == before
    with gate.client() as client:
        client.hello()
        assert not may_relay(client)
    gate.file.write_text(good)
    gate.reload()


def test_another_number_of_workers(fake, gateway):
    gate = gateway(fake(port=25), workers=1)
    settled(gate, 1)
    for n in (3, 1):
        gate.configure(workers=n)
        gate.reload()
        settled(gate, n)
        for client in open_clients(gate, 10):
            client.close()


def test_sigusr1_opens_the_log_again_L14(fake, gateway):
    gate = gateway(fake(port=25), workers=2)
    with gate.client() as client:
        client.hello()
        client.cmd("QUIT")
    first = gate.flow()["flow_id"]
    moved = gate.log.with_suffix(".old")
    gate.log.rename(moved)
    gate.process.send_signal(signal.SIGUSR1)
    wait_for(gate.log.exists, what="a new file")
    with gate.client() as client:
        client.hello()
        client.cmd("QUIT")
    assert gate.flow()["flow_id"] != first
    assert f'"flow_id": {first}' in moved.read_text().replace('":', '": ').replace(":  ", ": ")


# ---- many changes while mail flows -----------------------------------------------------------------

RELOADS, CRASHES = 100, 20


def test_reloads_and_crashes_under_load_A_024_A_019(fake, gateway):
    """
    A hundred reloads and twenty crashes under a steady load of new sessions: no connect is refused,
    nothing is cut but what the crashed worker had, and a session that began before all of it is
    still there at its end.
    """
    server = fake(port=25)
    clients = [L.CLIENT, L.CLIENT_OTHER, L.CLIENT_INSIDE]
    gate = gateway(server, workers=2, drain=300, limits={"sessions_per_client": 1000})
    firm = gate.client()
    firm.hello()
    its_worker, crashes = gate.owner(firm), []
    with Steady(gate, clients, pause=0.005) as steady:
        for n in range(RELOADS):
            gate.reload()
            if n % (RELOADS // CRASHES) == 0:
                victim = [w for w in gate.workers() if w != its_worker][-1]
                crashes.append(time.monotonic())
                victim.signal(signal.SIGSEGV if n % 2 else signal.SIGKILL)
        time.sleep(1)
    cut = [(at, text) for at, text in steady.faults]
    print(f"{RELOADS} reloads, {len(crashes)} crashes, {len(cut)} sessions cut by the latter")
    assert firm.cmd("NOOP").code == 250
    firm.close()
    assert steady.mails > RELOADS
    assert not [text for _, text in cut if "refused" in text], cut[:3]
    for at, text in cut:
        assert any(crash - 0.1 <= at <= crash + 1.5 for crash in crashes), (at, text)
    assert len(cut) <= len(crashes) * len(clients)
    settled(gate)


# ---- many clients ----------------------------------------------------------------------------------


def test_a_thousand_that_drip_A_014(fake, gateway):
    """One octet a second each, and everybody else is served."""
    server = fake(port=25)
    gate = gateway(server, workers=2, limits={"sessions_per_client": 2000,
                                              "pending_connects_per_client": 2000})
    with Crowd(gate.lab.client, "drip", L.CLIENT, L.FAKE, 25, 1000) as crowd:
        assert crowd.came == {"held": 1000}, crowd.came
        before, began = gate.cpu(), time.monotonic()
        with Steady(gate, [L.CLIENT_OTHER]) as steady:
            time.sleep(5)
        print(f"{(gate.cpu() - before) / (time.monotonic() - began):.0%} of a core")
    assert not steady.faults, steady.faults[:3]
    assert steady.p99 < 2


def test_few_descriptors_A_016_R6(fake, gateway):
    """
    A process takes the sessions that its descriptors have room for, and neither spins nor fails when
    more come.
    """
    server = fake(port=25)
    gate = gateway(server, nofile=1200, limits={"sessions_per_client": 1000,
                                               "pending_connects_per_client": 1000})
    with gate.client(L.CLIENT_OTHER) as old:
        old.hello()
        with Crowd(gate.lab.client, "hold", L.CLIENT, L.FAKE, 25, 150):
            time.sleep(1)
            before, began = gate.cpu(), time.monotonic()
            for _ in range(5):
                assert old.cmd("NOOP").code == 250
                time.sleep(0.2)
            busy = (gate.cpu() - before) / (time.monotonic() - began)
            print(f"{busy:.0%} of a core at the limit")
            assert busy < 0.5
            for worker in gate.workers():
                assert 50 < len(worker.descriptors()) < 1200
            assert len(server.conversations) > 20
        assert old.cmd("NOOP").code == 250
    wait_for(lambda: knock(gate.lab.client, L.FAKE, timeout=1) == "220", 10, "service after it", 0.1)


def test_the_budget_is_said_by_check_A_016(gateway):
    gate = gateway()

    def sessions():
        said = subprocess.run(gate.command("check", "-c", gate.file), capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        return int(re.search(r"Sessions: at most (\d+) at once in each worker", said.stdout).group(1))

    many = sessions()
    gate.nofile = 1200
    assert 20 < sessions() < 550 < many


@pytest.mark.parametrize("user", ["nobody", "root", "no-such-user"])
def test_a_user_that_cannot_be_is_named_by_check_too(gateway, user):
    gate = gateway()
    gate.configure(user=user)
    said = subprocess.run(gate.command("check", "-c", gate.file), capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert (f'# Warning: user "{user}"' in said.stdout) == (user != "nobody")


def test_a_thousand_idle_sessions(lab, gateway):
    """The small version of tests/soak's ten thousand."""
    with Crowd(lab.server, "serve", L.FAKE, 25) as server:
        assert server.came == {}
        gate = gateway((L.FAKE, 25), workers=2, limits={"sessions_per_client": 20000,
                                                        "pending_connects_per_client": 20000})
        user, kernel = idle_sessions(gate, L.CLIENT, L.FAKE, 1000, [L.CLIENT_OTHER])
        assert user < 64 << 10
        assert kernel < 64 << 10


# ---- the clock -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def clock(lab):
    """(environment for a gateway, function that sets by how many seconds its wall clock is wrong)."""
    library, shift = lab.dir / "clock_shift.so", lab.dir / "clock_shift"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library,
                    Path(__file__).parent / "preload/clock_shift.c"], check=True)
    shift.write_bytes(bytes(8))

    def jump(seconds):
        with open(shift, "r+b") as file:  # in place: it is mapped
            file.write(struct.pack("=q", seconds))

    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(shift)}, jump


@pytest.mark.parametrize("seconds", [3600, -3600, 86400, -86400])
def test_the_clock_jumps_A_023(lab, fake, gateway, clock, seconds):
    """
    Every timer runs on a clock that does not: no session is dropped, nothing waits for an hour. Only
    the wall clock of the gateway's processes is wrong, by a library ahead of theirs.
    """
    env, jump = clock
    jump(0)
    gate = gateway(fake(port=25), workers=2, env=env, limits={"connect_timeout": 3})
    with gate.client() as client, gate.client(to=L.NOBODY_THERE) as waiting:
        client.hello()
        client.envelope()
        time.sleep(0.2)
        jump(seconds)
        began = time.monotonic()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        assert client.cmd("MAIL FROM:<a@slow.example>", timeout=15).is_(451, "4.4.3")
        assert waiting.reply().is_(421, "4.4.1")
        assert 1 < time.monotonic() - began < 15
        assert client.cmd("NOOP").code == 250
        client.cmd("QUIT")
    flow = gate.record("flow", lambda r: r["flow"]["bytes_toserver"] > 0)
    written = datetime.datetime.fromisoformat(flow["timestamp"].replace("+0000", "+00:00"))
    wrong = (written - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert abs(wrong - seconds) < 60, "the clock did not jump: this test shows nothing"
    assert 1000 < flow["flow"]["duration_ms"] < 60_000
    jump(0)
