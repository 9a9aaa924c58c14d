#!/usr/bin/python3
"""FTP through the gateway beside other ways: bench_ftp.py [--rounds N] [--quick] BUILD.

One large file passive, active from the client, and sessions of 1 KB, ten at once and one after the other. Each run
checks that all octets arrived as they were sent, and that they went through what the row names.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))

import cpu  # noqa: E402
import lab as L  # noqa: E402
import ways  # noqa: E402
import rounds  # noqa: E402

GIB = 1 << 30
SERVER = L.MX
ACTIVE_TOO = {"direct", "kernel helper", "Postern, inspected", "Postern, not inspected"}


def ways_of(build):
    return [
        ways.Direct("direct"),
        ways.Helper("kernel helper"),
        ways.HAProxy("HAProxy", splice=False),
        ways.HAProxy("HAProxy, splice", splice=True),
        ways.BareRelay("bare relay", build, "copy"),
        ways.BareRelay("bare relay, splice", build, "splice"),
        ways.BareRelay("bare relay, SHA-256", build, "sha256"),
        ways.Postern("Postern, inspected", build),
        ways.Postern("Postern, not inspected", build, ftp={"inspect": False}),
    ]


class Bench:
    """groups: cpu.Group of "gateway", "client", "server"."""

    def __init__(self, lab, build, groups, seconds, size):
        self.lab, self.build, self.groups = lab, build, groups
        self.seconds, self.size = seconds, size

    def clocks(self):
        ours = {name: group.seconds() for name, group in self.groups.items()}
        return ours["gateway"], cpu.busy() - sum(ours.values()), time.monotonic()

    def load(self, size, at_once, seconds, mode, direction):
        """One run of ftp_load: what it said, and the processor time of the gateway."""
        argv = [self.build / "bench" / "ftp_load", f"{SERVER}:21", size, at_once, seconds, mode, direction]
        before = self.clocks()
        done = subprocess.run(
            ["timeout", "60", *map(str, self.lab.client.command(*argv))], capture_output=True, text=True,
            preexec_fn=lambda: self.groups["client"].entry.write_text(str(os.getpid())))
        gateway, others, wall = (b - a for a, b in zip(before, self.clocks()))
        said = {"sessions": 0, "errors": 1, "error": done.stderr.strip() or "timeout", "octets": 0,
                "seconds": wall, "p50_us": 0, "p99_us": 0} if done.returncode else json.loads(done.stdout)
        return said | {"cpu": gateway, "disturbed": others > rounds.QUIET * wall}

    def large(self, mode, direction="down"):
        r = self.load(self.size, 1, 0, mode, direction)
        whole = r["octets"] == self.size and not r["errors"]
        return r | {"value": self.size / r["seconds"] / 1e6 if whole else 0,
                    "cpu": r["cpu"] / (self.size / 1e9)}

    def small(self):
        r = self.load(1024, 10, self.seconds, "passive", "down")
        return r | {"value": r["sessions"] / r["seconds"], "cpu": r["cpu"] / max(1, r["sessions"]) * 1e6}

    def latency(self):
        """Microseconds that half of the sessions took at most, one after the other."""
        r = self.load(1024, 1, self.seconds / 2, "passive", "down")
        return r | {"value": r["p50_us"], "cpu": r["cpu"] / max(1, r["sessions"]) * 1e6}


def went_through(gateway, way, sessions):
    """The records say so: every session, and in them the transfers."""
    if gateway is None:
        return
    time.sleep(0.3)
    seen = len([r for r in gateway.records("flow")])
    if seen < sessions:
        raise SystemExit(f"{way}: {sessions} sessions, and {seen} in its records")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    build = options.build.resolve()
    seconds, size = (0.5, GIB // 8) if options.quick else (1.5, GIB)
    L.end_by_signal()
    all_ways = ways_of(build)
    table = rounds.Table(("passive", "active", "upload", "sessions", "latency"), [w.name for w in all_ways])
    groups = {name: cpu.Group(name) for name in ("gateway", "client", "server")}
    try:
        with L.Lab() as lab:
            for namespace in (lab.client, lab.server):
                namespace.sysctl("ipv4/tcp_tw_reuse", 1)
            server = L.Daemon(lab.server, [str(build / "bench" / "ftp_sink"), f"{SERVER}:21"],
                              lab.dir / "sink.log", before=f'echo 0 >"{groups["server"].entry}"')
            server.wait_ready(lambda: L.can_connect(lab.server, SERVER, 21), "ftp_sink")
            bench = Bench(lab, build, groups, seconds, size)
            for n in range(options.rounds):
                for way in all_ways:
                    measure(bench, table, way, lab, n)
            server.stop()
    finally:
        for group in groups.values():
            group.close()
    show(table, size)
    table.write(build / "bench" / "ftp.json")


def forget_sockets(lab):
    """
    The server has few data ports and uses them again at once: sockets in TIME_WAIT that another way's
    program left at the gateway are no part of what is measured.
    """
    lab.gateway.run("ss", "-K", "state", "time-wait")
    left = lab.gateway.output("ss", "-Htn", "state", "time-wait").count("\n")
    if left:
        raise SystemExit(f"{left} sockets in TIME_WAIT at the gateway do not go")


def measure(bench, table, way, lab, n):
    forget_sockets(lab)
    with way.up(lab, bench.groups["gateway"]) as gateway:
        sessions = 0
        for workload, run in (("passive", lambda: bench.large("passive")),
                              ("active", lambda: bench.large("active")),
                              ("upload", lambda: bench.large("passive", "up")),
                              ("sessions", bench.small),
                              ("latency", bench.latency)):
            if workload == "active" and way.name not in ACTIVE_TOO:
                continue  # the server's connection to the client goes by them, forwarded
            r = run()
            sessions += r["sessions"]
            table.add(workload, way.name, p99=r["p99_us"],
                      **{k: r[k] for k in ("value", "cpu", "disturbed", "errors")})
            print(f"{n} {way.name:24} {workload:9} {r['value']:8.0f} cpu {r['cpu']:7.2f} "
                  f"errors {r['errors']} {r['error']}", flush=True)
        went_through(gateway, way.name, sessions)


def show(table, size):
    against = ["direct", "bare relay", "bare relay, SHA-256", "HAProxy"]
    large = f"of {size / GIB:.3g} GiB, one file"
    print(table.text("passive", f"## Download {large}, passive", "MB/s", "s/GB", against))
    print(table.text("active", f"## Download {large}, active from the client", "MB/s", "s/GB", ["direct"]))
    print(table.text("upload", f"## Upload {large}, passive", "MB/s", "s/GB", against))
    print(table.text("sessions", "## Sessions with a file of 1 KB, ten at once", "sessions/s",
                     "us/session", against))
    print(table.added("latency", "## A session with a file of 1 KB, one after the other"))


if __name__ == "__main__":
    main()
