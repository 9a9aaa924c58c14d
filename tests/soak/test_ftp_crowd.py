"""
Two thousand transfers open at once through one worker, of clients that are slow: all of them arrive
whole, and what they cost meanwhile is bounded. Some minutes.
"""

import hashlib
import os
import random
import socket
import time

import pytest

import lab as L
import servers
from ftp_peers import FakeFtp
from gateway import Gateway
from lab import wait_for

TRANSFERS = int(os.environ.get("SOAK_TRANSFERS", "2000"))  # half of them uploads
SIZE = 400_000  # more than is held back for the verdict
GULP = 16_384
PAUSE = 0.1  # seconds between two gulps of the same client
PATIENCE = 600
RING, WINDOW, STATE = 64 << 10, 256 << 10, 36 << 10  # octets of user memory of one transfer
LIMITS = {"sessions_per_client": 10_000, "pending_connects": 10_000, "pending_connects_per_client": 10_000,
          "auth_failures_per_minute": 0}


def content(name):
    return random.Random(name).randbytes(SIZE)


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


class PatientFtp(FakeFtp):
    """One that waits for slow clients, and makes up what it sends."""

    def __init__(self, namespace, address):
        super().__init__(namespace, address, 21, transfer=self.patiently,
                         replies={"GREETING": self.wait_long})

    @staticmethod
    def wait_long(conversation, _):
        conversation.timeout = PATIENCE

    def patiently(self, _, data, verb, name):
        data.sock.settimeout(PATIENCE)
        if verb == "RETR":
            data.sock.sendall(content(name))
        elif self._take(data, name, 0, verb):
            self.whole.add(name)
        else:
            return b"426 broken\r\n"
        return None


class Slow:
    """One transfer of a client with small buffers, that takes or gives a gulp at a time."""

    def __init__(self, gate, number):
        self.up = number % 2 == 1
        self.name = f"{'du'[self.up]}{number}"
        self.octets = content(self.name) if self.up else b""
        self.digest, self.at, self.over = hashlib.sha256(), 0, False
        self.client = gate.client(timeout=PATIENCE)
        self.client.login().binary()
        to = self.client.passive()
        self.sock = self.client.namespace.tcp()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF if self.up else socket.SO_RCVBUF, GULP)
        self.sock.bind((self.client.here, 0))
        self.sock.connect(to)
        answer = self.client.cmd(f"{'STOR' if self.up else 'RETR'} {self.name}")
        assert answer.code == 150, answer
        self.sock.setblocking(False)

    def step(self):
        try:
            self.give() if self.up else self.take()
        except BlockingIOError:
            pass

    def give(self):
        self.at += self.sock.send(self.octets[self.at:self.at + GULP])
        if self.at == SIZE:
            self.end()

    def take(self):
        octets = self.sock.recv(GULP)
        self.digest.update(octets)
        self.at += len(octets)
        if not octets:
            self.end()

    def end(self):
        self.sock.close()
        self.over = True

    def finish(self):
        answer = self.client.reply()
        assert answer.code == 226, (self.name, answer)
        self.client.quit()


@pytest.mark.parametrize("window", [0, WINDOW], ids=["inspected", "held"])
def test_two_thousand_at_once(window):
    """held: a rule could refuse, so the last 256 KiB of each stay here until its verdict."""
    rule = {"deny_extensions": ["exe"]} if window else {}
    with L.Perimeter() as perimeter:
        servers.Dns(perimeter)
        with PatientFtp(perimeter.server, L.FAKE) as server:
            gate = Gateway(perimeter, L.FAKE, mode="tproxy", protocol="ftp", workers=1, nofile=20_000,
                           limits=LIMITS, content=rule)
            through(gate, server, window)
            gate.stop()


def through(gate, server, window):
    worker, = gate.workers()
    before, since, began = worker.own_memory(), worker.cpu(), time.monotonic()
    slow = [Slow(gate, i) for i in range(TRANSFERS)]
    opened = time.monotonic() - began
    assert len(worker.descriptors()) >= 4 * TRANSFERS  # each has its four connections
    assert not gate.records("ftp_data")
    most = memory = worker.own_memory()
    left = slow
    while left:
        end = time.monotonic() + PAUSE
        for one in left:
            one.step()
        left = [one for one in left if not one.over]
        most = max(most, worker.own_memory())
        time.sleep(max(0, end - time.monotonic()))
        assert time.monotonic() - began < PATIENCE, f"{len(left)} do not end"
    for one in slow:
        one.finish()
    took = time.monotonic() - began
    check(gate, server, slow)
    print(f"{TRANSFERS} transfers at once, opened within {opened:.1f} s, done within {took:.1f} s: "
          f"{(memory - before) / TRANSFERS / 1024:.1f} KiB of user memory each when opened, "
          f"{(most - before) / TRANSFERS / 1024:.1f} KiB at most, {worker.cpu() - since:.2f} s of CPU")
    assert most - before < TRANSFERS * (RING + window + STATE) + (8 << 20)
    wait_for(lambda: len(worker.descriptors()) < 400, 10, "descriptors")


def check(gate, server, slow):
    """By digest at both ends, and as the gateway saw it."""
    for one in slow:
        got = digest(server.files[one.name]) if one.up else one.digest.hexdigest()
        assert got == digest(content(one.name)), one.name
    assert server.whole == {one.name for one in slow if one.up}
    wait_for(lambda: len(gate.records("fileinfo")) == TRANSFERS, 30, "the records")
    found = {r["fileinfo"]["filename"]: r["fileinfo"]["sha256"] for r in gate.records("fileinfo")}
    assert found == {one.name: digest(content(one.name)) for one in slow}
    outcomes = [r["ftp_data"]["outcome"] for r in gate.records("ftp_data")]
    assert outcomes == ["complete"] * TRANSFERS
