"""Many sessions of every kind at once, for SOAK_TIME seconds: nothing is lost, nothing grows."""

import os
import pathlib
import random
import socket
import struct
import threading
import time

from dialogue import Client, Server
from gate import Gateway

SOAK_TIME = int(os.environ.get("SOAK_TIME", "600"))
CLIENTS = 12
MEMORY_SLACK = 4 << 20  # octets that may come on top of what the first fifth of the time has built up
LIMITS = "limits { sessions_per_client = 200  refusals = 0 }\n"
SMTP = """
    starttls = pass
    error_delay = 0
    sender_domain { check = off }
    relay { check = enforce  by_mx = no  local_domains = {"campus.example"} }
"""


class Counts:
    """What the clients were told; the server and the records must agree with it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.by_kind = {}
        self.accepted = 0
        self.faults = []

    def add(self, kind, accepted):
        with self.lock:
            self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
            self.accepted += accepted


def begin(client):
    assert client.reply()[0] == 220
    assert client.ask(b"EHLO client.example")[0] == 250
    assert client.ask(b"MAIL FROM:<anna@good.example>")[0] == 250
    assert client.ask(b"RCPT TO:<otto@campus.example>")[0] == 250


def good_mail(client, size=300):
    begin(client)
    assert client.ask(b"DATA")[0] == 354
    line = b"x" * 78 + b"\r\n"
    client.send(b"Subject: soak\r\n\r\n" + line * (size // 80 + 1) + b".\r\n")
    assert client.reply()[0] == 250
    assert client.ask(b"QUIT")[0] == 221
    return 1


def big_mail(client):
    return good_mail(client, 2 << 20)


def chunks(client):
    begin(client)
    client.send(b"BDAT 10\r\n0123456789")
    assert client.reply()[0] == 250
    client.send(b"BDAT 5 LAST\r\n01234")
    assert client.reply()[0] == 250
    assert client.ask(b"QUIT")[0] == 221
    return 1


def pipelined(client):
    assert client.reply()[0] == 220
    assert client.ask(b"EHLO client.example")[0] == 250
    client.send(b"MAIL FROM:<anna@good.example>\r\nRCPT TO:<otto@campus.example>\r\nDATA\r\n")
    assert [client.reply()[0] for _ in range(3)] == [250, 250, 354]
    client.send(b"Subject: soak\r\n\r\n..\r\n.\r\nQUIT\r\n")
    assert [client.reply()[0] for _ in range(2)] == [250, 221]
    return 1


def smuggler(client):
    begin(client)
    assert client.ask(b"DATA")[0] == 354
    client.send(b"Subject: outer\r\n\r\nx\n.\r\nMAIL FROM:<a@b.example>\r\n.\r\nQUIT\r\n")
    assert client.reply()[0] == 550
    client.drain()
    return 0


def relayer(client):
    assert client.reply()[0] == 220
    assert client.ask(b"EHLO client.example")[0] == 250
    assert client.ask(b"MAIL FROM:<anna@good.example>")[0] == 250
    assert client.ask(b"RCPT TO:<otto%elsewhere.example@campus.example>")[0] == 550
    assert client.ask(b"QUIT")[0] == 221
    return 0


def quitter(client):
    """Leaves in the middle of a message, with a reset."""
    begin(client)
    assert client.ask(b"DATA")[0] == 354
    client.send(b"Subject: half\r\n\r\nhalf")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return 0


def opaque(client):
    assert client.reply()[0] == 220
    assert client.ask(b"EHLO client.example")[0] == 250
    assert client.ask(b"STARTTLS")[0] == 220
    client.send(os.urandom(5000))
    return 0


def stranger(client):
    client.reply()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    client.drain()
    return 0


KINDS = (good_mail, good_mail, good_mail, chunks, pipelined, smuggler, relayer, quitter, opaque, stranger, big_mail)


def keep_going(address, counts, end, seed):
    choose = random.Random(seed)
    while time.monotonic() < end and not counts.faults:
        kind = choose.choice(KINDS)
        try:
            client = Client(address)
            try:
                counts.add(kind.__name__, kind(client))
            finally:
                client.close()
        except Exception as fault:  # a thread's exception would otherwise be seen by nobody
            counts.faults.append(f"{kind.__name__}: {fault!r}")


def family(pid):
    """A gateway's supervisor and what it started."""
    return [pid, *pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid):
    pages = sum(int(pathlib.Path(f"/proc/{p}/statm").read_text().split()[1]) for p in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid):
    return sum(len(os.listdir(f"/proc/{p}/fd")) for p in family(pid))


def test_soak(tmp_path):
    server = Server(keep=False)
    gateway = Gateway("build/postern", tmp_path, server.port, smtp=SMTP, more=LIMITS)
    pid, counts = gateway.process.pid, Counts()
    before = descriptors(pid)
    end = time.monotonic() + SOAK_TIME
    threads = [threading.Thread(target=keep_going, args=(gateway.address, counts, end, n))
               for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(SOAK_TIME / 5)
    settled = memory(pid)
    for thread in threads:
        thread.join(SOAK_TIME + 60)
    assert not counts.faults, counts.faults[:3]

    sessions = sum(counts.by_kind.values())
    deadline = time.monotonic() + 20
    while (descriptors(pid) > before or len(gateway.records("flow")) < sessions):
        assert time.monotonic() < deadline, f"{descriptors(pid)} descriptors, {before} at start; " \
            f"{len(gateway.records('flow'))} flow records of {sessions}"
        time.sleep(0.5)
    after = memory(pid)
    print(f"{sessions} sessions {counts.by_kind}, {settled >> 10} KiB settled, {after >> 10} KiB at the end")
    gateway.stop()
    server.close()
    assert after <= settled + MEMORY_SLACK, (settled, after)
    assert server.count == counts.accepted
