"""Ten thousand sessions that do nothing, over two workers: what each costs, and that it stays so."""

import os
import time

import lab as L
import servers
from gateway import Gateway
from load import Idle, idle_sessions
from peers import Crowd

SESSIONS = 10_000
LIMITS = {"sessions_per_client": 20_000, "pending_connects_per_client": 20_000}
HELD = int(os.environ.get("SOAK_TIME", "1800"))  # seconds in IDLE


def test_ten_thousand_idle_sessions():
    with L.Lab() as lab:
        servers.Dns(lab)
        with Crowd(lab.server, "serve", L.FAKE, 25) as server:
            assert server.came == {}
            gate = Gateway(lab, L.FAKE, mode="tproxy", workers=2, nofile=20_000, limits=LIMITS)
            user, kernel = idle_sessions(gate, L.CLIENT, L.FAKE, SESSIONS, [L.CLIENT_OTHER])
            gate.stop()
            assert user < 32 << 10
            assert kernel < 64 << 10


class Hold:
    """What the workers came to have since the beginning: octets of memory, seconds of CPU."""

    def __init__(self, gate):
        self.gate = gate
        self.pids = [worker.pid for worker in gate.workers()]
        self.begin = self.memory(), self.used()

    def memory(self):
        return sum(worker.own_memory("Pss_Anon") for worker in self.gate.workers())

    def used(self):
        return sum(worker.cpu() for worker in self.gate.workers())

    @property
    def grew(self):
        return self.memory() - self.begin[0]

    @property
    def cpu(self):
        return self.used() - self.begin[1]

    def run(self):
        end = time.monotonic() + HELD
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(60, left))
            print(f"{max(0, end - time.monotonic()):.0f} s to go: {self.grew / 1024:.0f} KiB more, "
                  f"{self.cpu:.2f} s of CPU", flush=True)
        assert [worker.pid for worker in self.gate.workers()] == self.pids


def test_ten_thousand_in_IDLE_I_019_I9():
    """Half an hour of it costs memory for the state of each, and nothing else."""
    limits = {**LIMITS, "auth_failures_per_minute": 0}
    with L.Lab() as lab, Crowd(lab.server, "serve", L.FAKE, 143) as server:
        assert server.came == {}
        gate = Gateway(lab, (L.FAKE, 143), mode="tproxy", protocol="imap", workers=2, nofile=20_000,
                       limits=limits, imap={"timeouts": {"idle": max(2100, HELD + 300)}})
        with Idle(gate, L.CLIENT, L.FAKE, SESSIONS) as idle:
            assert idle.came == {"held": SESSIONS}, idle.came
            hold = Hold(gate)
            hold.run()
            grew, cpu = hold.grew, hold.cpu
            print(f"{SESSIONS} in IDLE: {idle.user / 1024:.2f} KiB of user memory each and "
                  f"{(idle.user + grew / SESSIONS) / 1024:.2f} KiB after {HELD} s, {idle.kernel / 1024:.1f} KiB "
                  f"in the kernel; {cpu:.2f} s of CPU")
            assert idle.user < 8 << 10
            assert grew < 1 << 20
            assert cpu < 1 + HELD / 100
            assert idle.crowd.ask() == SESSIONS
        gate.stop()
