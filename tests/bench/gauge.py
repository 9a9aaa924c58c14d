"""What a gateway costs while a load generator works through it, and while sessions wait in it."""

import contextlib
import json
import os
import pathlib
import re
import select
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))

import cpu  # noqa: E402
import lab as L  # noqa: E402
import rounds  # noqa: E402
import ways  # noqa: E402


HELD_SECONDS = 120  # until all idle sessions are there


class NotHeld(Exception):
    """A way has not as many sessions as were asked for."""


def idle_at_once(way, n):
    """n, or fewer where it cannot hold these."""
    return n if way.at_once is None else min(n, way.at_once)


def of_each(octets_or_seconds, n, scale):
    """What one of n cost, or gave; None: there was none."""
    return octets_or_seconds / n * scale if n else None


class Gauge:
    """
    groups    cpu.Group of "gateway", "client", "server"
    left_out  {protocol and way that does not hold the idle sessions: why}
    """

    def __init__(self, lab, build, groups):
        self.lab, self.build, self.groups = lab, build, groups
        self.left_out = {}

    def generator(self, name, *what):
        """argv of a load generator, at the client."""
        argv = ["prlimit", f"--nofile={ways.FILES}", "--", self.build / "bench" / name, *what]
        return [str(a) for a in self.lab.client.command(*argv)]

    def idle_argv(self, way, protocol, n, **how):
        """Of a load generator that holds n sessions until its standard input ends."""
        raise NotImplementedError

    def clocks(self):
        ours = {name: group.seconds() for name, group in self.groups.items()}
        return ours["gateway"], cpu.busy() - sum(ours.values()), time.monotonic()

    def run(self, argv):
        """What a load generator said, or why it failed; "cpu": seconds of the gateway meanwhile; "disturbed"."""
        before = self.clocks()
        done = subprocess.run(["timeout", "60", *argv], capture_output=True, text=True,
                              preexec_fn=lambda: self.groups["client"].entry.write_text(str(os.getpid())))
        gateway, others, wall = (b - a for a, b in zip(before, self.clocks()))
        said = {"sessions": 0, "errors": 1, "error": done.stderr.strip() or "timeout", "octets": 0, "seconds": wall,
                "p50": None, "p99": 0} if done.returncode else json.loads(done.stdout)
        return said | {"cpu": gateway, "disturbed": others > rounds.QUIET * wall}

    def memory(self):
        """
        Octets of the gateway's processes. Pages of files are not in it: their part of those depends on who else
        has them just now.
        """
        found = 0
        for pid in self.groups["gateway"].entry.read_text().split():
            with contextlib.suppress(OSError):
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                found += sum(map(int, re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB", rollup, re.MULTILINE))) * 1024
        return found

    def established(self, host):
        return host.output("ss", "-Htn", "state", "established").count("\n")

    @contextlib.contextmanager
    def held(self, way, protocol, n, **how):
        """Inside, n sessions wait."""
        process = subprocess.Popen(self.idle_argv(way, protocol, n, **how), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        try:
            if not select.select([process.stdout], [], [], HELD_SECONDS)[0]:
                raise NotHeld(f"{way.name}: {n} sessions are not there after {HELD_SECONDS} s")
            said = json.loads(process.stdout.readline())
            if said["held"] != n:
                raise NotHeld(f"{way.name}: {said['held']} of {n} sessions: {said['error']}")
            yield
        finally:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()

    def idle(self, way, protocol, n, **how):
        """
        User octets of one session: what n cost more than a quarter of them, by which all is there that is made
        once.
        """
        few, settles = n // 4, min(1, n / 1000)
        with self.held(way, protocol, few, **how):
            time.sleep(settles)
            before = self.memory()
            with self.held(way, protocol, n - few, **how):
                time.sleep(settles)
                spent = self.memory() - before
                left, inside = map(self.established, (self.lab.client, self.lab.gateway))
        if left < n:
            raise NotHeld(f"{way.name}: {left} of {n} sessions: the others have been ended")
        if inside < 2 * n:
            raise SystemExit(f"{way.name}: {n} sessions have {inside} sockets at the gateway, not two each")
        return spent / (n - few)

    def idle_of(self, all_ways, protocol, n, times, **how):
        """
        {way: [octets of a session]}; each time by new processes, and of idle_at_once() sessions. A peer that does
        not hold them is said to.
        """
        found = {}
        for way in all_ways if n else ():
            try:
                for _ in range(times):
                    forget_sockets(self.lab)
                    with way.up(self.lab, self.groups["gateway"]):
                        found.setdefault(way.name, []).append(self.idle(way, protocol, idle_at_once(way, n), **how))
                print(f"idle {protocol} {way.name:28} {statistics.median(found[way.name]):8.0f} octets", flush=True)
            except NotHeld as fault:
                if isinstance(way, ways.Postern):
                    raise SystemExit(str(fault)) from None
                found.pop(way.name, None)
                self.left_out[f"idle {protocol}, {way.name}"] = f"idle sessions of {protocol.upper()}: {fault}"
                print(f"idle {fault}; left out", flush=True)
        return found


def forget_sockets(lab):
    """
    Sockets in TIME_WAIT that another way's program left at the gateway are no part of what is measured: an FTP
    server uses its few data ports again at once, and thousands that waited leave no port to call a server from.
    """
    lab.gateway.run("ss", "-K", "state", "time-wait")
    left = lab.gateway.output("ss", "-Htn", "state", "time-wait").count("\n")
    if left:
        raise SystemExit(f"{left} sockets in TIME_WAIT at the gateway do not go")


def show_idle(idle, title):
    if not idle:
        return
    print(f"\n{title}\n\n| way | octets of user memory each, median (min-max) |\n|---|---|")
    for way, each in idle.items():
        print(f"| {way} | {statistics.median(each):.0f} ({min(each):.0f}-{max(each):.0f}) |")


def show_not_held(left_out):
    """left_out: a Gauge's"""
    for why in left_out.values():
        print(f"\nNot measured: {why}.")


def show_left_out(left_out):
    """left_out: {(workload, way): why}"""
    told = {}
    for (workload, way), why in left_out.items():
        told.setdefault((workload, why), []).append(way)
    for (workload, why), names in told.items():
        print(f"\nNot measured: {workload} of {'; '.join(names)}: {why}.")


@contextlib.contextmanager
def laboratory():
    """The lab, and the groups of a Gauge."""
    L.end_by_signal()
    groups = {name: cpu.Group(name) for name in ("gateway", "client", "server")}
    try:
        with L.Lab() as lab:
            for namespace in (lab.client, lab.server):
                namespace.sysctl("ipv4/tcp_tw_reuse", 1)
            yield lab, groups
    finally:
        for group in groups.values():
            group.close()


@contextlib.contextmanager
def serving(lab, build, groups, port, server, *argv):
    """Inside, this program of build/bench serves; it answers at this port."""
    argv = ["prlimit", f"--nofile={ways.FILES}", "--", build / "bench" / server, *argv]
    daemon = L.Daemon(lab.server, [str(a) for a in argv], lab.dir / "sink.log",
                      before=f'echo 0 >"{groups["server"].entry}"')
    try:
        daemon.wait_ready(lambda: L.can_connect(lab.server, ways.SERVER, port), server)
        yield
    finally:
        daemon.stop()  # else its group could not be taken away
