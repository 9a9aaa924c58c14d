"""Clients that work on and on beside a test, and what sessions cost that do nothing."""

import re
import statistics
import threading
import time
from pathlib import Path

from peers import Closed, Crowd


class Steady:
    """
    Clients that mail again and again, each in a thread; every fault is kept with its time.

    took     seconds to the greeting of each session
    faults   [(time.monotonic(), text)]; "refused" in it: the connect itself failed
    pause    seconds between two sessions of a client
    """

    def __init__(self, gate, sources, pause=0.0):
        self.gate, self.pause = gate, pause
        self.took, self.faults = [], []
        self.mails = 0
        self.lock = threading.Lock()
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(s,)) for s in sources]

    def _session(self, source):
        began = time.monotonic()
        with self.gate.client(source) as client:
            greeting = client.reply()
            took = time.monotonic() - began
            assert greeting.code == 220, greeting
            assert client.cmd("EHLO steady.good.example").code == 250
            client.envelope()
            answer = client.data(b"Subject: steady\r\n\r\nx\r\n.\r\n")
            assert answer.code == 250, answer
            with self.lock:
                self.took.append(took)
                self.mails += 1
            assert client.cmd("QUIT").code == 221

    def _run(self, source):
        while not self.end.wait(self.pause):
            try:
                self._session(source)
            except ConnectionRefusedError:
                self.faults.append((time.monotonic(), "refused"))
            except (OSError, Closed, AssertionError) as fault:
                self.faults.append((time.monotonic(), repr(fault)))

    @property
    def p99(self):
        return statistics.quantiles(self.took, n=100)[98]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()
        if len(self.took) > 1:
            print(f"{self.mails} mails beside it, time to the greeting: median "
                  f"{statistics.median(self.took):.4f} s, p99 {self.p99:.4f} s")


# what the kernel keeps for a connection, by the names of /proc/slabinfo
OF_A_SOCKET = ("TCP", "sock_inode_cache", "filp", "eventpoll_epi")


def kernel_memory():
    """Octets in the objects that sockets are made of, of the whole machine."""
    rows = re.findall(r"^(\S+)\s+(\d+)\s+\d+\s+(\d+)", Path("/proc/slabinfo").read_text(),
                      re.MULTILINE)
    return sum(int(n) * int(size) for name, n, size in rows if name in OF_A_SOCKET)


class Idle:
    """What n sessions cost that do nothing, in octets: user is the gateway's, kernel its two sockets'."""

    def __init__(self, gate, source, to, n):
        self.gate = gate
        before = self.user_memory()
        kernel = kernel_memory()
        self.crowd = Crowd(gate.lab.client, "hold", source, to, gate.port, n)
        self.came = self.crowd.came
        self.user = (self.user_memory() - before) / n
        # client and server have two more sockets of the same kind
        self.kernel = (kernel_memory() - kernel) / n / 2
        self.loaded = self.user_memory()

    def user_memory(self):
        return sum(worker.own_memory() for worker in self.gate.workers())

    def grew(self):
        """Octets that the workers have more than when all idle sessions had come."""
        return self.user_memory() - self.loaded

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.crowd.close()


def idle_sessions(gate, source, to, n, others):
    """
    Holds n idle sessions, lets other clients come and go beside them, prints what it costs, and
    gives (user octets, kernel octets) of a session.
    """
    with Idle(gate, source, to, n) as idle:
        assert idle.came == {"held": n}, idle.came
        assert idle.crowd.ask() == n
        shares = [len(worker.descriptors()) for worker in gate.workers()]
        with Steady(gate, others) as steady:
            time.sleep(3)
        grew = idle.grew()
        assert not steady.faults, steady.faults[:3]
        assert steady.mails > 10
        assert idle.crowd.ask() == n
        print(f"{n} idle sessions, descriptors {shares}: {idle.user / 1024:.1f} KiB of user memory "
              f"and {idle.kernel / 1024:.1f} KiB in the kernel for each; {grew / 1024:.0f} KiB more "
              f"after {steady.mails} others came and went")
        assert grew < (4 << 20) + n * 1024
        return idle.user, idle.kernel
