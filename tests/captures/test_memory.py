"""Sessions that begin and never end: what they take stays within --memory. SECURITY case X-004."""

import subprocess
import sys

import packets as P

BOUND = 16      # MiB that may be taken
BESIDE = 40     # MiB of the program itself, its libraries and tables
SESSIONS = 12_000


def half_open(said):
    """A capture of SESSIONS sessions of SMTP, each with so many octets said by client and server."""
    frames = []
    for i in range(SESSIONS):
        talk = P.Talk(client=(f"198.51.{100 + i // 60_000}.7", 1024 + i % 60_000), acks=False)
        for from_client, octets in said:
            talk.say(from_client, octets)
        frames += P.frames_of(talk, "raw")
    return P.pcap(frames, link=P.LINKS["raw"][0], step=10)


# A process begins with what the one that made it has: so that is a small one.
WATCHED = """import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
sys.exit(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}")"""


def peak(read, capture):
    """Records by reason of their end, and MiB that the process took at most."""
    argv = [sys.executable, "-c", WATCHED, read.binary, "read", "--memory", str(BOUND), read.file(capture)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    code, kib = map(int, done.stderr.split())
    assert code == 0
    return {why: done.stdout.count(f'"reason":"{why}"') for why in ("evicted", "capture_end")}, kib / 1024


def check(read, said):
    ends, mib = peak(read, half_open(said))
    assert ends["evicted"] > SESSIONS / 2, "nothing had to give way"
    assert sum(ends.values()) == SESSIONS, "each session has its record"
    if "/san/" not in read.binary:  # the sanitizers' shadow is no memory of ours
        assert mib < BOUND + BESIDE


def test_sessions_that_were_greeted_X_004(read):
    check(read, [(False, b"220 mx.example ESMTP\r\n"), (True, b"EHLO me\r\n")])


def test_sessions_within_a_message_X_004(read):
    check(read, [(False, b"220 mx.example ESMTP\r\n"), (True, b"HELO me\r\n"), (False, b"250 mx.example\r\n"),
                 (True, b"MAIL FROM:<a@b.example>\r\n"), (False, b"250 ok\r\n"),
                 (True, b"RCPT TO:<c@d.example>\r\n"), (False, b"250 ok\r\n"), (True, b"DATA\r\n"),
                 (False, b"354 go\r\n"), (True, b"Subject: never\r\n\r\nended\r\n")])
