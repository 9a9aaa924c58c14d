#!/usr/bin/python3
"""Mail under TLS on both legs beside other ways: bench_tls.py [--rounds N] [--quick] [--idle N] BUILD.

Handshakes, full and resumed, of TLS 1.3 and 1.2; SMTPS sessions with one message of 4 KB, one after the other,
ten and a hundred at once, with fifty of them, and with one of 10 MB, one after the other and ten at once; POP3S
and IMAPS sessions that fetch twenty messages of 100 KB; one short session of IMAPS after the other; and what a
session costs that waits. Every certificate and key is P-256. Each way that ends TLS has a certificate of its own,
or an issuer, and clients take no other: who decrypted a session is who the row names. No gateway and the bare
relay, which passes TLS on, must show the server's. What arrives is compared octet for octet at both ends.
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
SMALL, LETTER, BIG, SHORT = "letter-4096", "letter-102400", "letter-10485760", "text-1024"
LETTERS, MANY, AT_ONCE = 20, 50, 10
PASSED_ON = "bare relay, TLS passed on"
AGAINST = ["direct", PASSED_ON, "HAProxy", "nginx stream", "sslsplit"]
FULL = "HAProxy, full to servers"  # as whoever resumes no session with a server has to do it
HANDSHAKES = [(version, kind) for version in ("1.3", "1.2") for kind in ("full", "resumed")]
# name: (what, protocol, mailbox, messages a session, sessions at once, part of the time)
WORKLOADS = {
    "one": ("latency", "smtp", SMALL, 1, 1, 0.5),
    "ten": ("sessions", "smtp", SMALL, 1, 10, 1),
    "hundred": ("sessions", "smtp", SMALL, 1, 100, 1),
    "fifty messages": ("messages", "smtp", SMALL, MANY, AT_ONCE, 1),
    "big, one": ("octets", "smtp", BIG, 1, 1, 1),
    "big, ten": ("octets", "smtp", BIG, 1, AT_ONCE, 1),
    "pop3s": ("octets", "pop3", LETTER, LETTERS, AT_ONCE, 1),
    "imaps": ("octets", "imap", LETTER, LETTERS, AT_ONCE, 1),
    "latency": ("latency", "imap", SHORT, 1, 1, 0.5),
}
WAITING = {"HAProxy", "nginx stream", "sslsplit", "Postern"}
# protocol: how many wait at most. Two handshakes for each take their time, and most of what it costs is OpenSSL's,
# which is the same in all protocols.
WAIT = {"imap": 3000, "smtp": 1000, "pop3": 1000}
VERSIONS = (["openssl", "version"], ["haproxy", "-v"], ["nginx", "-v"], ["sslsplit", "-V"])


def ways_of(bench):
    lab, theirs = bench.lab, bench.certificate

    def postern(name, **settings):
        return ways.Postern(name, bench.build, Certificate(lab, NAME), theirs, limits=mail.LIMITS, smtp=mail.SMTP,
                            nofile=ways.FILES, **settings)

    return [
        ways.Direct("direct", theirs),
        ways.BareRelay(PASSED_ON, bench.build, "copy", certificate=theirs),
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
        r = self.bench.sessions(way, "imap", SHORT, 0, AT_ONCE, self.seconds, (version, kind))
        if kind == "resumed" and (not r["resumed"] or r["error"] == "not resumed"):
            return r | {"left_out": f"{r['resumed']} of {r['sessions'] + r['errors']} sessions were resumed"}
        return r

    def cell(self, way, what, protocol, mailbox, messages, at_once, part):
        r = getattr(self.bench, what)(way, protocol, mailbox, messages, at_once, self.seconds * part, ("1.3", "full"))
        sent = r["sessions"] * messages
        return r | {"passed": sent, "letters": sent if mailbox.startswith("letter") else 0}

    def workloads(self, way):
        runs = {}
        # how much is looked at makes no difference to handshakes
        if not way.name.startswith("Postern,"):
            runs |= {f"{kind} {version}": lambda v=version, k=kind: self.handshakes(way, v, k)
                     for version, kind in HANDSHAKES}
        if way.name != FULL:
            runs |= {name: lambda of=of: self.cell(way, *of) for name, of in WORKLOADS.items()}
        return runs

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
                messages += r.get("passed", 0)
                letters += r.get("letters", 0)
            mail.went_through(gateway, way, sessions, sessions, messages, letters)


def version_of(argv):
    """The first line of what it says of itself, on whichever way."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10)
    return (done.stdout + done.stderr).splitlines()[0]


def show(table, idle, n, left_out, not_held):
    for version, kind in HANDSHAKES:
        print(table.text(f"{kind} {version}", f"## TLS {version}, {kind} handshakes of clients, {AT_ONCE} at once",
                         "sessions/s", "us/session", AGAINST, ["server leg resumed"]))
    print(table.added("one", "## SMTPS: a session with one message of 4 KiB, one after the other"))
    for workload, at_once in (("ten", 10), ("hundred", 100)):
        print(table.text(workload, f"## SMTPS: sessions with one message of 4 KiB, {at_once} at once", "sessions/s",
                         "us/session", AGAINST))
    print(table.text("fifty messages", f"## SMTPS: sessions with {MANY} messages of 4 KiB, {AT_ONCE} at once",
                     "messages/s", "us/message", AGAINST))
    for workload, how in (("big, one", "one after the other"), ("big, ten", f"{AT_ONCE} at once")):
        print(table.text(workload, f"## SMTPS: messages of 10 MiB, {how}", "MB/s", "s/GB", AGAINST))
    for workload in ("pop3s", "imaps"):
        print(table.text(workload, f"## {workload.upper()}: {LETTERS} messages of 100 KiB a session, {AT_ONCE} at once",
                         "MB/s", "s/GB", AGAINST))
    print(table.added("latency", "## IMAPS: a session with one message of 1 KiB, one after the other"))
    for protocol, each in idle.items():
        gauge.show_idle(each, f"## {min(n, WAIT[protocol])} idle sessions of {protocol.upper()}S")
    gauge.show_not_held(not_held)
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
        table = rounds.Table([*(f"{kind} {version}" for version, kind in HANDSHAKES), *WORKLOADS],
                             [way.name for way in all_ways])
        tls = Tls(bench, table, 0.2 if options.quick else 0.5)
        for n in range(options.rounds):
            for way in all_ways:
                tls.measure(way, n)
        waiting = [way for way in all_ways if way.name in WAITING]
        idle = {protocol: bench.idle_of(waiting, protocol, min(options.idle, most), 1, tls=("1.3", "full"))
                for protocol, most in WAIT.items()}
    with rounds.shown(build / "bench" / "tls.md"):
        show(table, idle, options.idle, tls.left_out, bench.left_out)
    table.write(build / "bench" / "tls.json", idle=idle, versions=versions,
                left_out={f"{workload}, {way}": why for (workload, way), why in tls.left_out.items()} | bench.left_out)


if __name__ == "__main__":
    main()
