#!/usr/bin/python3
"""POP3 or IMAP through the gateway beside other ways: bench_box.py [--rounds N] [--quick] [--idle N] BUILD pop3|imap.

Sessions that fetch twenty messages of 100 KB, ten at once, of text and with an attachment; sessions
with one of 1 KB, ten at once; and what a session costs that has fetched one and waits. Each run
checks that all octets arrived as they were sent, and that they went through what the row names.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))

import cpu  # noqa: E402
import lab as L  # noqa: E402
import rounds  # noqa: E402
import ways  # noqa: E402

PORTS = {"pop3": 110, "imap": 143}
MESSAGES, SIZE, AT_ONCE = 20, 102_400, 10
LIMITS = {"sessions": ways.SESSIONS_MAX, "sessions_per_client": ways.SESSIONS_MAX,
          "pending_connects_per_client": ways.SESSIONS_MAX}
BIG = "proxy_buffer 64k; imap_client_buffer 64k;"


def ways_of(build):
    def postern(name, **settings):
        return ways.Postern(name, build, limits=LIMITS, nofile=ways.FILES, **settings)

    return [
        ways.Direct("direct"),
        ways.HAProxy("HAProxy", splice=False),
        ways.Nginx("nginx stream", "stream"),
        ways.Nginx("nginx mail", "mail"),
        ways.Nginx("nginx mail, 64 KB buffers", "mail", BIG),
        ways.BareRelay("bare relay", build, "copy"),
        ways.BareRelay("bare relay, SHA-256", build, "sha256"),
        postern("Postern"),
        postern("Postern, no digests", mime={"digests": []}),
        postern("Postern, nothing looked at", mime={"inspect": False}),
    ]


class Bench:
    """groups: cpu.Group of "gateway", "client", "server"."""

    def __init__(self, lab, build, groups, protocol, seconds):
        self.lab, self.build, self.groups = lab, build, groups
        self.protocol, self.seconds = protocol, seconds

    def clocks(self):
        ours = {name: group.seconds() for name, group in self.groups.items()}
        return ours["gateway"], cpu.busy() - sum(ours.values()), time.monotonic()

    def argv(self, way, mailbox, messages, *how):
        to = f"{way.address}:{PORTS[self.protocol]}"
        argv = ["prlimit", f"--nofile={ways.FILES}", "--", self.build / "bench" / "box_load", self.protocol, to,
                mailbox, messages, *how]
        return [str(a) for a in self.lab.client.command(*argv)]

    def load(self, way, mailbox, messages, seconds):
        """One run of box_load: what it said, and the processor time of the gateway."""
        before = self.clocks()
        done = subprocess.run(
            ["timeout", "60", *self.argv(way, mailbox, messages, AT_ONCE, seconds)],
            capture_output=True, text=True,
            preexec_fn=lambda: self.groups["client"].entry.write_text(str(os.getpid())))
        gateway, others, wall = (b - a for a, b in zip(before, self.clocks()))
        said = {"sessions": 0, "errors": 1, "error": done.stderr.strip() or "timeout", "octets": 0,
                "seconds": wall} if done.returncode else json.loads(done.stdout)
        return said | {"cpu": gateway, "disturbed": others > rounds.QUIET * wall}

    def messages(self, way, kind):
        r = self.load(way, f"{kind}-{SIZE}", MESSAGES, self.seconds)
        return r | {"value": r["octets"] / r["seconds"] / 1e6, "cpu": r["cpu"] / max(1, r["octets"]) * 1e9}

    def sessions(self, way):
        r = self.load(way, "text-1024", 1, self.seconds)
        return r | {"value": r["sessions"] / r["seconds"], "cpu": r["cpu"] / max(1, r["sessions"]) * 1e6}

    def memory(self):
        """Octets that the processes of the gateway have for themselves."""
        found = 0
        for pid in self.groups["gateway"].entry.read_text().split():
            with contextlib.suppress(OSError):
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                found += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE).group(1)) * 1024
        return found

    @contextlib.contextmanager
    def held(self, way, n):
        """Inside, n sessions wait."""
        process = subprocess.Popen(self.argv(way, "text-1024", 1, "idle", n), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        try:
            said = json.loads(process.stdout.readline())
            if said["held"] != n:
                raise SystemExit(f"{way.name}: {said['held']} of {n} sessions: {said['error']}")
            yield
        finally:
            process.stdin.close()
            process.wait()

    def idle(self, way, n):
        """User octets of one session: what n more cost than a third of them, when all that is made once is there."""
        with self.held(way, n // 3):
            time.sleep(1)
            before = self.memory()
            with self.held(way, n):
                time.sleep(1)
                return (self.memory() - before) / n


def went_through(gateway, way, sessions):
    """The records say so."""
    if gateway is None:
        return
    time.sleep(0.3)
    seen = len(gateway.records("flow"))
    if seen < sessions:
        raise SystemExit(f"{way}: {sessions} sessions, and {seen} in its records")


def measure(bench, table, way, n):
    with way.up(bench.lab, bench.groups["gateway"]) as gateway:
        sessions = 0
        for workload, run in (("letter", lambda: bench.messages(way, "letter")),
                              ("text", lambda: bench.messages(way, "text")),
                              ("sessions", lambda: bench.sessions(way))):
            r = run()
            sessions += r["sessions"]
            table.add(workload, way.name, **{k: r[k] for k in ("value", "cpu", "disturbed", "errors")})
            print(f"{n} {way.name:28} {workload:9} {r['value']:8.0f} cpu {r['cpu']:7.2f} "
                  f"errors {r['errors']} {r['error']}", flush=True)
        went_through(gateway, way.name, sessions)


def memory_of(bench, all_ways, n, times):
    """{way: [octets of a session]}; each time by new processes."""
    found = {}
    for way in all_ways:
        if way.name == "direct" or not n:
            continue
        for _ in range(times):
            with way.up(bench.lab, bench.groups["gateway"]):
                found.setdefault(way.name, []).append(bench.idle(way, n))
        print(f"idle {way.name:28} {statistics.median(found[way.name]):8.0f} octets", flush=True)
    return found


def show(table, idle, n):
    against = ["direct", "bare relay", "bare relay, SHA-256", "HAProxy"]
    what = f"{MESSAGES} messages of {SIZE // 1024} KiB a session, {AT_ONCE} at once"
    print(table.text("letter", f"## {what}: with an attachment", "MB/s", "s/GB", against))
    print(table.text("text", f"## {what}: text", "MB/s", "s/GB", against))
    print(table.text("sessions", f"## Sessions with one message of 1 KiB, {AT_ONCE} at once", "sessions/s",
                     "us/session", against))
    if idle:
        print(f"\n## {n} idle sessions\n\n| way | octets of user memory each, median (min-max) |\n|---|---|")
    for way, each in idle.items():
        print(f"| {way} | {statistics.median(each):.0f} ({min(each):.0f}-{max(each):.0f}) |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("protocol", choices=PORTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--idle", type=int, default=3000, help="sessions that wait; 0: none")
    parser.add_argument("--ways", default="", help="only those whose name has this in it")
    options = parser.parse_args()
    build = options.build.resolve()
    L.end_by_signal()
    all_ways = [way for way in ways_of(build) if options.ways in way.name]
    table = rounds.Table(("letter", "text", "sessions"), [way.name for way in ways_of(build)])
    groups = {name: cpu.Group(name) for name in ("gateway", "client", "server")}
    try:
        with L.Lab() as lab:
            for namespace in (lab.client, lab.server):
                namespace.sysctl("ipv4/tcp_tw_reuse", 1)
            server = L.Daemon(lab.server, ["prlimit", f"--nofile={ways.FILES}", "--",
                                           str(build / "bench" / "box_sink"), ways.SERVER],
                              lab.dir / "sink.log", before=f'echo 0 >"{groups["server"].entry}"')
            server.wait_ready(lambda: L.can_connect(lab.server, ways.SERVER, 143), "box_sink")
            bench = Bench(lab, build, groups, options.protocol, 0.5 if options.quick else 1.5)
            for n in range(options.rounds):
                for way in all_ways:
                    measure(bench, table, way, n)
            idle = memory_of(bench, all_ways, options.idle, 1 if options.quick else 3)
            server.stop()
    finally:
        for group in groups.values():
            group.close()
    show(table, idle, options.idle)
    table.write(build / "bench" / f"{options.protocol}.json")


if __name__ == "__main__":
    main()
