#!/usr/bin/python3
"""Mail under TLS on both legs beside other ways: bench_tls.py [--rounds N] [--quick] [--idle N] BUILD.

Handshakes, full and resumed, of TLS 1.3 and 1.2; IMAPS sessions that fetch twenty messages of 100 KB;
SMTPS messages of 10 MB; one short session after the other; and what a session costs that waits. Every
certificate and key is P-256. Each way has a certificate of its own, or an issuer, and clients take no
other: who decrypted a session is who the row names. What arrives is compared octet for octet at both ends.
"""

import argparse
import pathlib
import subprocess

import gauge
import mail
import rounds
import ways
from tls_peers import Certificate

NAME = "mx.campus.example"  # MAIL_SERVER of mail_wire.h
LETTERS, LETTER, BIG, AT_ONCE = 20, 102_400, 10_485_760, 10
AGAINST = ["direct", "HAProxy", "nginx stream", "sslsplit"]
FULL = "HAProxy, full to servers"  # as whoever resumes no session with a server has to do it
HANDSHAKES = [(version, kind) for version in ("1.3", "1.2") for kind in ("full", "resumed")]
VERSIONS = (["openssl", "version"], ["haproxy", "-v"], ["nginx", "-v"], ["sslsplit", "-V"])


def ways_of(bench):
    lab, theirs = bench.lab, bench.certificate

    def postern(name, **settings):
        return ways.Postern(name, bench.build, Certificate(lab, NAME), theirs, limits=mail.LIMITS, smtp=mail.SMTP,
                            nofile=ways.FILES, **settings)

    return [
        ways.Direct("direct", theirs),
        ways.HAProxy("HAProxy", splice=False, certificate=Certificate(lab, NAME)),
        ways.HAProxy(FULL, splice=False, certificate=Certificate(lab, NAME), reuse=False),
        ways.Nginx("nginx stream", "stream", certificate=Certificate(lab, NAME)),
        ways.Sslsplit("sslsplit", Certificate(lab, "an authority"), Certificate(lab, NAME).key),
        postern("Postern"),
        postern("Postern, no digests", mime={"digests": []}),
        postern("Postern, nothing looked at", mime={"inspect": False}),
    ]


def server_resumed(r):
    """Which part of the handshakes with the server was resumed."""
    full, resumed = (r["served"][kind] for kind in ("full", "resumed"))
    return resumed / max(1, full + resumed)


class Tls:
    """Rounds of all workloads. left_out: {(workload, way): why}"""

    def __init__(self, bench, table, seconds):
        self.bench, self.table, self.seconds = bench, table, seconds
        self.left_out = {}

    def handshakes(self, way, version, kind):
        r = self.bench.sessions(way, "imap", "text-1024", 0, AT_ONCE, self.seconds * 2 / 3, (version, kind))
        if kind == "resumed" and (not r["resumed"] or r["error"] == "not resumed"):
            return r | {"left_out": f"{r['resumed']} of {r['sessions'] + r['errors']} sessions were resumed"}
        return r

    def workloads(self, way):
        tls = ("1.3", "full")
        runs = {}
        # how much is looked at makes no difference to handshakes
        if not way.name.startswith("Postern,"):
            runs |= {f"{kind} {version}": lambda v=version, k=kind: self.handshakes(way, v, k)
                     for version, kind in HANDSHAKES}
        if way.name == FULL:
            return runs
        return runs | {
            "imaps": lambda: self.bench.octets(way, "imap", f"letter-{LETTER}", LETTERS, AT_ONCE, self.seconds, tls),
            "smtps": lambda: self.bench.octets(way, "smtp", f"letter-{BIG}", 1, AT_ONCE, self.seconds, tls),
            "latency": lambda: self.bench.latency(way, "imap", "text-1024", 1, 1, self.seconds / 2, tls)}

    def add(self, workload, way, r):
        if "left_out" in r:
            if isinstance(way, ways.Postern):
                raise SystemExit(f"{way.name}: {r['left_out']}")
            self.left_out[workload, way.name] = r["left_out"]
            r |= {"value": None, "cpu": None}
        self.table.add(workload, way.name, **{k: r[k] for k in ("value", "cpu", "disturbed", "errors", "p99")},
                       **{"server leg resumed": server_resumed(r)})

    def measure(self, way, n):
        sessions = messages = letters = 0
        with way.up(self.bench.lab, self.bench.groups["gateway"]) as gateway:
            for workload, run in self.workloads(way).items():
                r = run()
                sessions += r["sessions"]
                self.add(workload, way, r)
                rounds.say(n, way.name, workload, r)
                sent = r["sessions"] * {"imaps": LETTERS, "smtps": 1}.get(workload, 0)
                letters += sent
                messages += r["sessions"] if workload == "latency" else sent
            mail.went_through(gateway, way, sessions, sessions, messages, letters)


def version_of(argv):
    """The first line of what it says of itself, on whichever way."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10)
    return (done.stdout + done.stderr).splitlines()[0]


def show(table, idle, n, left_out, not_held):
    for version, kind in HANDSHAKES:
        print(table.text(f"{kind} {version}", f"## TLS {version}, {kind} handshakes of clients, {AT_ONCE} at once",
                         "sessions/s", "us/session", AGAINST, ["server leg resumed"]))
    print(table.text("imaps", f"## IMAPS, {LETTERS} messages of {LETTER // 1024} KiB a session, {AT_ONCE} at once",
                     "MB/s", "s/GB", AGAINST))
    print(table.text("smtps", f"## SMTPS, a message of {BIG >> 20} MiB a session, {AT_ONCE} at once", "MB/s", "s/GB",
                     AGAINST))
    print(table.added("latency", "## An IMAPS session with one message of 1 KiB, one after the other"))
    gauge.show_idle(idle, f"## {n} idle IMAPS sessions", not_held)
    gauge.show_left_out(left_out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--idle", type=int, default=1000, help="sessions that wait; 0: none")
    parser.add_argument("--ways", default="", help="only those whose name has this in it")
    options = parser.parse_args()
    build = options.build.resolve()
    versions = [version_of(argv) for argv in VERSIONS]
    with mail.bench(build, lambda lab: Certificate(lab, NAME)) as bench:
        all_ways = [way for way in ways_of(bench) if options.ways in way.name]
        table = rounds.Table([*(f"{kind} {version}" for version, kind in HANDSHAKES), "imaps", "smtps", "latency"],
                             [way.name for way in all_ways])
        tls = Tls(bench, table, 0.4 if options.quick else 1.5)
        for n in range(options.rounds):
            for way in all_ways:
                tls.measure(way, n)
        idle = bench.idle_of([way for way in all_ways if way.name in {"Postern", *AGAINST[1:]}], "imap",
                             options.idle, 1, tls=("1.3", "full"))
    with rounds.shown(build / "bench" / "tls.md"):
        show(table, idle, options.idle, tls.left_out, bench.left_out)
    table.write(build / "bench" / "tls.json", idle=idle, versions=versions,
                left_out={f"{workload}, {way}": why for (workload, way), why in tls.left_out.items()} | bench.left_out)


if __name__ == "__main__":
    main()
