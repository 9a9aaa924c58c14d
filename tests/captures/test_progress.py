"""The progress bar of postern read: on a terminal, and nowhere else."""

import os
import pty
import subprocess
import time

import pytest

import packets as P
import talks

ERASE = b"\r\x1b[K"
FRAMES = P.frames_of(talks.mail()) * 200


def run(read, stderr, term, *parts):
    """postern read of standard input, which comes in parts with pauses between them; its records."""
    process = subprocess.Popen([read.binary, "read", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                               env={**os.environ, "TERM": term})
    for part in parts:
        process.stdin.write(part)
        process.stdin.flush()
        time.sleep(0.3)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out


def drawn(master):
    """What came to a terminal that nobody writes to any more."""
    os.set_blocking(master, False)
    got = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except (BlockingIOError, OSError):
            return got
        if not piece:
            return got
        got += piece


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def capture():
    octets = P.pcap(FRAMES, step=1)
    third = len(octets) // 3
    return octets[:third], octets[third:2 * third], octets[2 * third:]


def test_on_a_terminal(read, terminal):
    master, slave = terminal
    out = run(read, slave, "xterm", *capture())
    shown = drawn(master)
    assert b" packets  " in shown and b" records" in shown
    assert b"%" not in shown and b"left" not in shown  # of standard input nobody knows how much there is
    assert shown.endswith(ERASE) and b"\n" not in shown
    assert all(len(line) < 80 for line in shown.split(ERASE))
    assert out.count(b"\n") > 0


@pytest.mark.parametrize("term", ["dumb", ""])
def test_not_on_a_terminal_that_cannot(read, terminal, term):
    master, slave = terminal
    run(read, slave, term, *capture())
    assert drawn(master) == b""


def test_not_elsewhere(read, tmp_path):
    with open(tmp_path / "stderr", "wb") as stderr:
        run(read, stderr, "xterm", *capture())
    assert (tmp_path / "stderr").read_bytes() == b""
