"""A log that cannot be written, moves, or loses its writer: traffic never waits. A-021, L14."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lab import wait_for


class Fifo:
    """A log with a reader that takes, stalls and goes as the test says."""

    def __init__(self, path):
        self.path = path
        self.octets = b""
        os.mkfifo(path, 0o600)
        self.open()

    def open(self):
        self.end = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self):
        os.close(self.end)

    def read(self):
        """Every record so far."""
        try:
            while octets := os.read(self.end, 65536):
                self.octets += octets
        except BlockingIOError:
            pass
        whole = self.octets[: self.octets.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def record(self, condition):
        return wait_for(lambda: next((r for r in self.read() if condition(r)), None), 20, "record")


@pytest.fixture
def fifo(tmp_path):
    return Fifo(tmp_path / "fifo")


def logger_of(gate):
    """The pid of its logger, or None."""
    found = gate.of_role("logger")
    return found[0].pid if found else None


def one_session(gate):
    with gate.client() as client:
        client.hello()


def test_audit_required_A021(fake, gateway, fifo):
    """While records are lost nobody is served; it passes by itself when they are written again."""
    gate = gateway(fake(), log=str(fifo.path), audit="required")
    one_session(gate)
    fifo.record(lambda r: r["event_type"] == "flow")
    fifo.close()
    one_session(gate)

    def turned_away():
        with gate.client() as client:
            return client.reply().is_(421, "4.3.0")

    wait_for(turned_away, 10, "421 4.3.0")
    with gate.client() as client:
        assert client.reply().is_(421, "4.3.0")
        assert client.closed()
    fifo.open()
    stats = fifo.record(lambda r: "log_lines_lost" in r.get("stats", {}))["stats"]
    assert stats["log_lines_lost"] == sum(w["lost"] for w in stats["workers"]) > 0
    assert [w["slot"] for w in stats["workers"]] == [0]
    wait_for(lambda: not turned_away(), 10, "service")
    one_session(gate)


def test_best_effort_A021(fake, gateway, fifo):
    """Without it everybody is served, and what was lost is counted."""
    gate = gateway(fake(), log=str(fifo.path))
    fifo.close()
    for _ in range(20):
        one_session(gate)
    wait_for(lambda: "records are being lost" in gate.stderr, what="a loss")
    fifo.open()
    fifo.record(lambda r: "log_lines_lost" in r.get("stats", {}))


def test_stalled_reader_A021(fake, gateway, fifo):
    """Five seconds in which the log takes nothing: nobody waits, and nothing is lost."""
    gate = gateway(fake(), log=str(fifo.path))
    sessions, slowest = 0, 0.0
    end = time.monotonic() + 5
    while time.monotonic() < end:
        start = time.monotonic()
        one_session(gate)
        slowest = max(slowest, time.monotonic() - start)
        sessions += 1
    assert slowest < 2, slowest
    wait_for(lambda: sum(r["event_type"] == "flow" for r in fifo.read()) == sessions, 20, "flows")
    assert len(fifo.octets) > 65536  # more than the FIFO holds: it did take nothing for a while
    said = set().union(*(r["stats"] for r in fifo.read() if r["event_type"] == "stats"))
    assert not said & {"log_lines_lost", "log_lines_dropped"}, said


def test_killed_logger(fake, gateway):
    """Sessions go on, another one reads the same pipes within a second, and says so."""
    gate = gateway(fake())
    with gate.client() as client:
        client.hello()
        first = gate.logger().pid
        os.kill(first, signal.SIGKILL)
        start = time.monotonic()
        one_session(gate)
        wait_for(lambda: logger_of(gate) not in (None, first), 5, "another logger")
        assert time.monotonic() - start < 1.5
        assert client.cmd("NOOP").code == 250
    wait_for(lambda: len(gate.records("flow")) == 2, 10, "both flows")
    assert gate.record("stats", lambda r: "logger_restarted" in r["stats"])


def test_reopened_L14(fake, gateway):
    """SIGUSR1 under load: every record is in one of the files, whole and once."""
    gate = gateway(fake())
    stop, sessions = threading.Event(), []

    def load():
        while not stop.is_set():
            one_session(gate)
            sessions.append(1)

    thread = threading.Thread(target=load)
    thread.start()
    moved = []
    for number in range(5):
        time.sleep(0.3)
        moved.append(gate.log.with_suffix(f".{number}"))
        gate.log.rename(moved[-1])
        os.kill(gate.pid, signal.SIGUSR1)
        wait_for(lambda: gate.log.exists() and gate.log.stat().st_size > 0, 10, "the next log")
    stop.set()
    thread.join()

    def flows():
        text = "".join(path.read_text() for path in [*moved, gate.log])
        return [r["flow_id"] for r in map(json.loads, text.splitlines())
                if r["event_type"] == "flow"]

    wait_for(lambda: len(flows()) == len(sessions), 10, "all flows")
    assert len(set(flows())) == len(sessions)
    assert json.loads(gate.log.read_text().splitlines()[0])["stats"]["log_rotated"] == 5


def test_rotated_by_size_L14(fake, gateway):
    gate = gateway(fake(), rotation={"size": 65536, "keep": 2})
    old = [Path(f"{gate.log}.{number}") for number in (1, 2, 3)]
    for _ in range(2000):
        one_session(gate)
        if old[1].exists():
            break
    assert old[0].exists() and old[1].exists() and not old[2].exists()
    for path in old[:2]:
        assert 65536 <= path.stat().st_size < 2 * 65536
        for line in path.read_text().splitlines():
            json.loads(line)


def test_stopped_while_there_is_no_logger_L14(fake, gateway):
    """What is in the pipes is written by another one."""
    gate = gateway(fake(), drain=5)
    with gate.client() as client:
        client.hello()
        os.kill(gate.logger().pid, signal.SIGKILL)
        wait_for(lambda: logger_of(gate) is None, 5, "its death", 0.001)
        gate.process.terminate()
        client.cmd("QUIT")
    gate.stop()
    assert gate.flow() and gate.record("stats", lambda r: "stopped" in r["stats"])


def test_bounds_change_and_a_reload_follows_L14(fake, gateway):
    """A logger that was told to end has not died."""
    gate = gateway(fake())
    gate.configure(rotation={"size": 65536})
    slow = gate.logger().pid
    os.kill(slow, signal.SIGSTOP)
    gate.reload()
    gate.reload()
    os.kill(slow, signal.SIGCONT)
    wait_for(lambda: logger_of(gate) not in (None, slow), 5, "the next logger")
    gate.record("stats", lambda r: "reloaded" in r["stats"])
    assert "the logger died" not in gate.stderr
