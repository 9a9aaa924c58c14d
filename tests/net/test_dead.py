"""
What becomes of the wire when there is no gateway: never started, running, flushed, killed, stopped,
released. SECURITY cases A-001, A-002, A-003, A-004, A-006, A-007; FIELD row D5.
"""

import os
import random
import re
import signal
import threading
import time
from pathlib import Path

import pytest

import lab as L
from gateway import BINARY, BLOCKED, INTERCEPTED, pidfd_getfd, render
from lab import wait_for
from peers import Closed, RawClient, knock
from test_transparent import passed_by

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
BOTH = {"v4": (L.CLIENT, L.FAKE), "v6": (L.CLIENT6, L.FAKE6)}


@pytest.fixture
def mode():
    return "tproxy"


@pytest.fixture
def both(fake):
    """A server in each family: {"v4": server, "v6": server}."""
    return {family: fake(to, port=25) for family, (_, to) in BOTH.items()}


def through(lab, servers, expected):
    """
    Holds what comes of a connect in both families to expected: "refused" by the guard, "direct" to
    the server, or "gateway".
    """
    for family, (source, to) in BOTH.items():
        if expected == "refused":
            told = knock(lab.client, to, source=source)
            assert told == "refused", (family, told)
            continue
        with RawClient(lab.client, to, 25, source) as client:
            assert passed_by(client, servers[family]) == (expected == "direct"), family
        servers[family].ended(len(servers[family].conversations) - 1)
        for conversation in servers[family].conversations:
            conversation.commands.clear()


def test_never_started_and_never_installed_A_001(lab, both):
    tables = lab.gateway.output("nft", "list", "tables")
    assert "postern" not in tables
    through(lab, both, "direct")


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_never_started_and_guarded_A_001(lab, both, gateway, mode):
    """As a host that boots: closed by "postern guard" before there ever was a gateway."""
    file = lab.dir / "guard.conf"
    file.write_text(render({"inside": ["10.0.0.0/8"], "intercept": {"mode": mode}}))
    through(lab, both, "direct")
    try:
        done = lab.gateway.run(BINARY, "guard", "-c", file)
        assert done.returncode == 0 and not done.stderr, done
        through(lab, both, "refused")
        gate = gateway()
        through(lab, both, "gateway")
        gate.stop(keep_guard=True)
        through(lab, both, "refused")
    finally:
        done = lab.gateway.run(BINARY, "release")
    assert done.returncode == 0 and not done.stderr, done
    through(lab, both, "direct")


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_every_state_under_block_A_001_A_002_D5(lab, both, gateway, mode):
    gate = gateway()
    assert {INTERCEPTED, BLOCKED} <= gate.tables()
    through(lab, both, "gateway")
    gate.kill()
    assert INTERCEPTED not in gate.tables() and BLOCKED in gate.tables()
    through(lab, both, "refused")
    gate.start()
    through(lab, both, "gateway")
    gate.process.terminate()
    assert gate.process.wait(20) == 0
    through(lab, both, "refused")
    gate.start()  # and this start finds the guard of the run before it
    through(lab, both, "gateway")
    gate.stop(keep_guard=True)
    through(lab, both, "refused")
    for _ in range(2):  # what is released already is no fault
        done = gate.release()
        assert done.returncode == 0 and not done.stderr, done
    assert not gate.tables() & {INTERCEPTED, BLOCKED}
    through(lab, both, "direct")


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_every_state_under_bypass_A_003_D5(lab, both, gateway, mode):
    gate = gateway(intercept={"on_exit": "bypass"})
    assert INTERCEPTED in gate.tables() and BLOCKED not in gate.tables()
    through(lab, both, "gateway")
    gate.kill()
    assert INTERCEPTED not in gate.tables()
    through(lab, both, "direct")
    gate.start()
    through(lab, both, "gateway")
    gate.stop()
    through(lab, both, "direct")


def test_a_start_with_bypass_takes_an_old_guard_away_A_003(lab, both, gateway):
    gate = gateway()
    gate.kill()
    through(lab, both, "refused")
    gate.configure(intercept={"on_exit": "bypass"})
    gate.start()
    assert BLOCKED not in gate.tables()
    gate.kill()
    through(lab, both, "direct")


def test_a_start_that_fails_leaves_the_guard(lab, both, gateway):
    """A faulty configuration after a crash must not open the gate."""
    gate = gateway()
    gate.kill()
    gate.file.write_text("workers = many\n")
    gate.start(ready=False)
    assert gate.process.wait(20) == 2
    through(lab, both, "refused")


def listeners(gate):
    """[(process, descriptor)] of the sockets that the gateway listens on."""
    rows = [line.split() for name in ("tcp", "tcp6")
            for line in Path(f"/proc/{gate.pid}/net/{name}").read_text().splitlines()]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    return [(process, fd) for process in gate.processes()
            for fd, what in process.descriptors().items() if what in inodes]


def test_killed_while_somebody_still_listens_A_001(lab, both, gateway):
    """A listener that is alive is not a gateway: nobody would look at what it takes."""
    gate = gateway()
    kept = [pidfd_getfd(process.pid, fd) for process, fd in listeners(gate)]
    assert kept
    try:
        gate.kill()
        through(lab, both, "refused")
    finally:
        for fd in kept:
            os.close(fd)


@FAMILIES
def test_running_sessions_end_at_once_A_006(lab, both, gateway, v6):
    source, to = BOTH["v6" if v6 else "v4"]
    server = both["v6" if v6 else "v4"]
    gate = gateway(workers=2)
    clients = [gate.client(source, to=to) for _ in range(10)]
    for client in clients:
        client.hello()
    clients[0].envelope()
    assert clients[0].cmd("DATA").code == 354
    clients[0].send(b"Subject: half\r\n\r\nhalf\r\n")
    began = time.monotonic()
    gate.kill()
    for client in clients:
        client.sock.settimeout(5)
        try:
            assert client.sock.recv(100) == b""  # FIN
        except ConnectionResetError:
            pass
        client.close()
    print(f"ten sessions ended within {time.monotonic() - began:.3f} s")
    assert time.monotonic() - began < 3
    for n in range(10):
        server.ended(n, timeout=5)
    assert not server.mails


def guard_is_mended(lab, gate, both, destroy):
    assert BLOCKED in gate.tables()
    seen = len(gate.records())
    destroy()
    gone = time.monotonic()
    through(lab, both, "gateway")
    wait_for(lambda: BLOCKED in gate.tables(), 5, "the guard to be mended")
    print(f"the guard stood again after {time.monotonic() - gone:.2f} s")
    wait_for(lambda: any("guard" in str(r) for r in gate.records()[seen:]), 5, "a record of it")
    assert "guard" in gate.stderr
    gate.kill()
    through(lab, both, "refused")


def test_a_foreign_flush_is_survived_A_004(lab, both, gateway):
    gate = gateway()

    def flush():
        lab.gateway.nft("flush ruleset")
        assert INTERCEPTED in gate.tables()

    guard_is_mended(lab, gate, both, flush)


def test_a_guard_that_was_deleted_comes_back_A_004(lab, both, gateway):
    gate = gateway()
    guard_is_mended(lab, gate, both, lambda: lab.gateway.nft(f"delete table {BLOCKED}"))


def test_a_guard_that_was_emptied_comes_back_A_004(lab, both, gateway):
    """The table is there and nothing is in it: worse than none, for who looks at names only."""
    gate = gateway()
    lab.gateway.nft(f"flush table {BLOCKED}")

    def whole():
        return "reject" in lab.gateway.output("nft", "list", "table", *BLOCKED.split())

    wait_for(whole, 5, "the guard to be mended")
    gate.kill()
    through(lab, both, "refused")


def test_nobody_elses_rules_are_touched_D4(lab, both, gateway):
    lab.gateway.nft("table inet somebody { set s { type ipv4_addr; elements = { 192.0.2.7 }; };"
                    " chain c { type filter hook forward priority 3; counter; }; }")
    lab.gateway.ip("rule add fwmark 0x77 lookup 77")
    try:
        before = lab.gateway.output("nft", "list", "table", "inet", "somebody")
        gate = gateway()
        gate.stop()
        assert lab.gateway.output("nft", "list", "table", "inet", "somebody").split("counter")[0] \
            == before.split("counter")[0]
        assert "lookup 77" in lab.gateway.output("ip", "rule")
    finally:
        lab.gateway.ip("rule del fwmark 0x77 lookup 77")
        lab.gateway.nft("delete table inet somebody")


@pytest.mark.parametrize("on_exit", ["block", "bypass"])
@FAMILIES
def test_sessions_older_than_the_gateway(lab, both, gateway, on_exit, v6):
    """Cut by block: nobody has looked at what they said so far. Let by under bypass."""
    source, to = BOTH["v6" if v6 else "v4"]
    with RawClient(lab.client, to, 25, source) as client:
        client.hello()
        gateway(intercept={"on_exit": on_exit})
        if on_exit == "bypass":
            assert client.cmd("NOOP").code == 250
            return
        try:
            client.send(b"NOOP\r\n")
            client.sock.settimeout(5)
            assert client.sock.recv(100) == b""
        except ConnectionResetError:
            pass
    conversation = both["v6" if v6 else "v4"].conversations[0]
    assert b"NOOP" not in conversation.received


def test_release_needs_no_configuration_and_no_gateway(lab, gateway):
    gate = gateway()
    gate.stop()
    done = gate.release()
    assert done.returncode == 0 and not done.stderr, done
    done = lab.gateway.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           gate.binary, "release")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done


# ---- fifty deaths in a run of five hundred sessions ------------------------------------------------

SESSIONS, DEATHS, AT_ONCE = 500, 50, 12
BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


class Accounts:
    """What the clients did and were told, by the mark that each message carries."""

    def __init__(self):
        self.lock = threading.Lock()
        self.begun = 0        # sessions that had a greeting
        self.completed = set()  # the end mark was sent, or may have been
        self.acknowledged = set()
        self.forbidden = set()  # no server may ever have these
        self.faults = []

    def begin(self):
        with self.lock:
            self.begun += 1
            return self.begun


def one_session(gate, accounts, kind, mark):
    with gate.client(timeout=15) as client:
        greeting = client.reply()
        if greeting.code != 220:
            raise Closed(greeting.octets)
        accounts.begin()
        client.send(PROBE_LINE)
        answer = client.reply()
        if answer.code < 500:
            accounts.faults.append(f"somebody took what no gateway lets pass: {answer}")
        if client.cmd("EHLO kill.good.example").code != 250:
            return
        if client.cmd("MAIL FROM:<anna@good.example>").code != 250 or \
                client.cmd("RCPT TO:<otto@campus.example>").code != 250 or \
                client.cmd("DATA").code != 354:
            return
        head = b"Subject: x\r\n\r\n[" + mark + b"]\r\n"
        if kind == "half":
            accounts.forbidden.add(mark)
            client.send(head + b"half of it\r\n.")
            time.sleep(0.01)
            return
        if kind == "bare":
            accounts.forbidden.add(mark)
            client.send(head + b"x\n.\r\nMAIL FROM:<a@good.example>\r\n.\r\n")
            answer = client.reply()
            if answer.code == 250:
                accounts.faults.append(f"a smuggled message was taken: {answer}")
            return
        client.send(head + b"first half\r\n")
        accounts.completed.add(mark)
        client.send(b"second half\r\n.\r\n")
        if client.reply().code == 250:
            accounts.acknowledged.add(mark)
        client.cmd("QUIT")


PROBE_LINE = b"XKILLPROBE\r\n"


def keep_mailing(gate, accounts, seed):
    choose = random.Random(seed)
    n = 0
    while accounts.begun < SESSIONS:
        n += 1
        kind = choose.choice(["whole", "whole", "whole", "half", "bare"])
        try:
            one_session(gate, accounts, kind, b"%d-%d-%s" % (seed, n, kind.encode()))
        except (Closed, OSError):
            time.sleep(0.02)  # nobody there just now
        except Exception as fault:  # a thread's exception would otherwise be seen by nobody
            accounts.faults.append(repr(fault))


def kill_one(gate, n):
    """The n-th death: the supervisor, a worker and the logger in turn; a dead gateway is started."""
    victim = ("supervisor", "worker", "logger", "worker")[n % 4]
    if victim == "supervisor":
        gate.kill()
        time.sleep(0.05)  # clients try, and find the port closed
        gate.start()
        return victim
    if victim == "logger":
        gate.logger().signal(signal.SIGKILL)
        gate.cut_lines += 1
    else:
        workers = wait_for(gate.workers, what="a worker")
        workers[n // 4 % len(workers)].signal(signal.SIGKILL)
    return victim


def test_fifty_deaths_in_five_hundred_sessions_A_007(lab, fake, gateway):
    server = fake(port=25)
    gate = gateway(server, workers=2, smtp={"sender_domain": {"check": "off"}}, limits={
        "sessions_per_client": 1000, "refusals": 0, "pending_connects_per_client": 1000})
    accounts, deaths = Accounts(), []
    threads = [threading.Thread(target=keep_mailing, args=(gate, accounts, seed))
               for seed in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        for n in range(DEATHS):
            end = time.monotonic() + 60
            while accounts.begun < n * SESSIONS // (DEATHS + 1) and not accounts.faults:
                assert time.monotonic() < end, f"nothing flows after {deaths[-1]}: {gate.stderr}"
                time.sleep(0.001)
            time.sleep(n % 7 * 0.002)  # so that each step of a session has its turn
            deaths.append(kill_one(gate, n))
    finally:
        if len(deaths) < DEATHS:
            accounts.begun = SESSIONS
        for thread in threads:
            thread.join(60)
    with gate.client() as client:  # and it flows again
        client.hello()
        client.envelope()
        assert client.data(b"Subject: last\r\n\r\nx\r\n.\r\n").code == 250
    wait_for(lambda: all(getattr(c, "over", False) for c in server.conversations[:-1]), 20,
             "the end of what was cut")

    marks = [re.search(rb"\[([^]]*)\]", mail.wire) for mail in server.mails]
    taken = [found.group(1) for found in marks if found]
    print(f"{accounts.begun} sessions, {len(deaths)} deaths; {len(accounts.completed)} messages "
          f"completed, {len(taken)} taken by the server, {len(accounts.acknowledged)} acknowledged, "
          f"{len(accounts.forbidden)} halves and forgeries")
    assert not accounts.faults, accounts.faults[:3]
    assert len(deaths) == DEATHS
    assert len(accounts.acknowledged) > SESSIONS // 5 and len(accounts.forbidden) > SESSIONS // 10
    assert len(set(taken)) == len(taken), "a message was sent twice"
    assert set(taken) <= accounts.completed, "taken, and never completed"
    assert not set(taken) & accounts.forbidden
    assert accounts.acknowledged <= set(taken), "acknowledged, and no server has it"
    # every octet that a server saw was written by the gateway: line ends and verbs say so
    for conversation in server.conversations:
        assert not BARE.search(conversation.received.rstrip(b"\r")), conversation.received
        assert PROBE_LINE.strip() not in conversation.received
