#!/usr/bin/python3
"""How cost grows, Postern alone: bench_growth.py [--rounds N] [--quick] [--only TEXT] BUILD.

What a message, a session, a start or a capture costs at a tenth of a size, at it, and at ten times it: sizes and
numbers of messages, sessions at once, sessions that wait meanwhile, networks, domains, rules and digests in the
configuration, captures. Costs are processor time and memory of the gateway, not the time that goes by. On one
page: the costs, and the slope of their logarithms, 1 where ten times as much costs ten times as much, 0 where it
does not matter. A line says which it may be at most, and is marked where it is more. Where a session is dearer for
the kernel alone when others wait, what a session of SMTP through the bare relay is dearer by is taken off: its line
stands beside.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import math
import pathlib
import random
import shutil
import statistics
import time

import bench_captures
import bench_ftp
import gauge
import mail
import rounds
import traffic
import ways
from tls_peers import Certificate

SMALL, SHORT, FILE, AT_ONCE = "letter-4096", "text-1024", 1024, 4
FTP_WAITING = 3_000  # a worker has descriptors for what so many may transfer
NAME = "mx.campus.example"  # MAIL_SERVER of mail_wire.h
NOISE = 0.1  # of a slope: a quarter more at ten times the size; half of it where that is over two such steps
LINEAR, FLAT, NO_BAR = 1, 0, None
FLOOR = "sessions that wait at the bare relay"
LIMITS = mail.LIMITS | {"pending_connects": mail.HELD_MAX,
                        # a login that is not answered yet counts as one that fails: a hundred at once are too many
                        "auth_failures_per_minute": mail.HELD_MAX}


class Line:
    """
    unit     of the cost
    most     LINEAR or FLAT; NO_BAR: it is not Postern's
    sizes    three, each ten times the one before
    floor    None, or the line of who looks at nothing: what that one grows by is not this one's growth
    """

    def __init__(self, title, unit, most, sizes, floor=None):
        self.title, self.unit, self.most, self.sizes, self.floor = title, unit, most, sizes, floor
        self.costs = {size: [] for size in sizes}
        self.disturbed = 0

    def middle(self):
        return [statistics.median(self.costs[size]) for size in self.sizes]

    def own(self):
        """Without what the floor grows by."""
        floor = self.floor.middle() if self.floor else [0] * len(self.sizes)
        return [cost - max(under - floor[0], 0) for cost, under in zip(self.middle(), floor)]

    def slopes(self, costs):
        """From the first to the last, and of the last step alone, where what is constant weighs least."""
        sizes = self.sizes
        return [math.log(max(costs[2], 1e-9) / max(costs[i], 1e-9)) / math.log(sizes[2] / sizes[i]) for i in (0, 1)]

    def worse(self):
        """What is constant can hide how the rest grows, where that may be; where nothing may grow it hides nothing."""
        if self.most is NO_BAR:
            return False
        whole, last = self.slopes(self.own())
        return max(whole, last) > LINEAR + NOISE if self.most == LINEAR else whole > NOISE / 2 or last > NOISE

    def row(self):
        whole, last = self.slopes(self.middle())
        what = "the bare relay" if self.floor else {LINEAR: "linear", FLAT: "flat", NO_BAR: "not Postern"}[self.most]
        mark = f"**worse than {what}**" if self.worse() else f"as {what}" if self.floor else what
        disturbed = f" ({self.disturbed} of {sum(map(len, self.costs.values()))} disturbed)" if self.disturbed else ""
        return [self.title, ", ".join(f"{size:,}" for size in self.sizes), self.unit,
                *(f"{cost:,.3g}" if cost < 100 else f"{cost:,.0f}" for cost in self.middle()),
                f"{whole:.2f}", f"{last:.2f}", mark + disturbed]


class Growth:
    """The lines, in the order in which they were first measured."""

    def __init__(self, only, quick):
        self.only, self.quick = only, quick
        self.lines = {}

    def sizes(self, size, least=1):
        """A tenth, the size, ten times it; where it only has to work, smaller ones."""
        size = max(10 * least, size // 10) if self.quick else size
        return [size // 10, size, 10 * size]

    def wants(self, *titles):
        return any(self.only in title for title in titles)

    def add(self, title, unit, most, sizes, size, cost, disturbed=False, floor=None):
        """floor: None, or the title of a line that is there already."""
        line = self.lines.setdefault(title, Line(title, unit, most, sizes, self.lines[floor] if floor else None))
        line.costs[size].append(cost)
        line.disturbed += disturbed
        print(f"{title:44} {size:>13,} {cost:14,.3f} {unit}", flush=True)

    def show(self):
        print("\n## How cost grows\n\n| what grows | from, to, to | cost | | | | slope | of the last step | |")
        print("|" + "---|" * 9)
        for line in self.lines.values():
            print(f"| {' | '.join(line.row())} |")
        worse = [line.title for line in self.lines.values() if line.worse()]
        print(f"\n{len(self.lines)} lines, {len(worse)} worse than they may be" + "".join(f"\n- {w}" for w in worse))

    def write(self, path):
        path.write_text(json.dumps({line.title: vars(line) | {"slopes": line.slopes(line.middle()), "worse": line.worse(),
                                                              "floor": line.floor and line.floor.title}
                                    for line in self.lines.values()}, indent=1) + "\n")


# ---- through the gateway ----


class Traffic:
    """One gateway at a time, and what sessions through it cost."""

    def __init__(self, growth, bench, seconds):
        self.growth, self.bench, self.seconds = growth, bench, seconds
        self.group = bench.groups["gateway"]
        self.ftp_bench = bench_ftp.Bench(bench.lab, bench.build, bench.groups, seconds, 0)
        self.passed = 0  # sessions that the gateway of now must have in its records

    @contextlib.contextmanager
    def up(self, way):
        self.passed = 0
        gauge.forget_sockets(self.bench.lab)
        with way.up(self.bench.lab, self.group) as gateway:
            yield gateway
            mail.went_through(gateway, way, self.passed)

    def postern(self, **settings):
        settings["smtp"] = settings.get("smtp", mail.SMTP)
        return ways.Postern("Postern", self.bench.build, limits=LIMITS, nofile=ways.FILES, **settings)

    def load(self, way, protocol, mailbox, messages, at_once, seconds=None, tls=None):
        """Microseconds of the gateway for a session, and whether others worked meanwhile."""
        r = self.bench.load(way, protocol, mailbox, messages, at_once, seconds or self.seconds, tls)
        if r["errors"]:
            raise SystemExit(f"{protocol} {mailbox} {messages} {at_once}: {r['errors']} errors, {r['error']}")
        self.passed += r["sessions"]
        return r["cpu"] / r["sessions"] * 1e6, r["disturbed"]

    def each(self, title, unit, most, sizes, cost):
        """cost(size): as load() gives it."""
        if self.growth.wants(title):
            for size in sizes:
                self.growth.add(title, unit, most, sizes, size, *cost(size))

    def sessions(self):
        """With the gateway as it is shipped."""
        way = self.postern()
        with self.up(way):
            for protocol in mail.PORTS:
                self.mailbox(way, protocol)
            self.each("a run of SMTP sessions, milliseconds", "us/session", FLAT, self.growth.sizes(500, 20),
                      lambda n: self.load(way, "smtp", SMALL, 1, AT_ONCE, n / 1000))

    def mailbox(self, way, protocol):
        name = protocol.upper()
        self.each(f"octets of a message by {name}", "us/message", LINEAR, self.growth.sizes(1_048_576),
                  lambda n: self.load(way, protocol, f"letter-{n}", 1, AT_ONCE))
        self.each(f"messages of 4 KiB in a session of {name}", "us/session", LINEAR, self.growth.sizes(50),
                  lambda n: self.load(way, protocol, SMALL, n, AT_ONCE))
        self.each(f"sessions of {name} at once", "us/session", FLAT, self.growth.sizes(10),
                  lambda n: self.load(way, protocol, SHORT, 1, n))

    def waiting(self):
        sizes = self.growth.sizes(ways.SESSIONS_MAX // 10)
        if self.growth.wants("sessions of SMTP that wait", "sessions of POP3 that wait", "sessions of IMAP that wait"):
            self.waiting_at_the_bare_relay(sizes)
        for protocol in mail.PORTS:
            self.while_waiting(self.bench, protocol, sizes,
                               lambda way, protocol=protocol: self.load(way, protocol, SHORT, 1, AT_ONCE), FLOOR)
        self.while_waiting(self.ftp_bench, "ftp", self.growth.sizes(FTP_WAITING // 10),
                           lambda way: self.files(way, FILE, AT_ONCE))

    def waiting_at_the_bare_relay(self, sizes):
        """With connections tracked, as beside Postern: what of it is the kernel's."""
        for size in sizes:
            way = ways.BareRelay("bare relay", self.bench.build, "copy", as_ours=True)
            with self.up(way), self.bench.held(way, "smtp", size):
                time.sleep(1)
                self.growth.add(FLOOR, "us/session of another", NO_BAR, sizes, size,
                                *self.load(way, "smtp", SHORT, 1, AT_ONCE))

    def while_waiting(self, bench, protocol, sizes, another, floor=None):
        """
        Others come and go while so many sessions wait; another(way): as load() gives it. A gateway for each: what
        was held once leaves room.
        """
        title = f"sessions of {protocol.upper()} that wait"
        for size in sizes if self.growth.wants(title) else ():
            way = self.postern()
            with self.up(way) as gateway, bench.held(way, protocol, size):
                time.sleep(1)  # their records are written
                self.growth.add(title, "us/session of another", FLAT, sizes, size, *another(way), floor=floor)
                self.growth.add(f"{title}: memory", "KiB", LINEAR, sizes, size, bench.memory() / 1024)
                if len(gateway.records("flow")) > self.passed:
                    raise SystemExit(f"{title}: some of {size} have ended")
                self.passed += size  # those that waited: when all is over they have their records, too

    def files(self, way, size, at_once):
        """Microseconds of the gateway for a session with a file, and whether others worked meanwhile."""
        r = self.ftp_bench.load(way, size, at_once, self.seconds, "passive", "down")
        if r["errors"] or not r["sessions"]:
            raise SystemExit(f"FTP, {size} octets, {at_once} at once: {r['errors']} errors, {r['error']}")
        self.passed += r["sessions"]
        return r["cpu"] / r["sessions"] * 1e6, r["disturbed"]

    def ftp(self):
        titles = "octets of a file by FTP", "sessions of FTP at once"
        if not self.growth.wants(*titles):
            return
        way = self.postern()
        with self.up(way):
            self.each(titles[0], "us/file", LINEAR, self.growth.sizes(104_857_600), lambda n: self.files(way, n, 1))
            self.each(titles[1], "us/session", FLAT, self.growth.sizes(10), lambda n: self.files(way, FILE, n))

    def configured(self, what, size, most, settings, tls=None):
        """A gateway with so much in its configuration: its start, its memory, a session."""
        sizes = self.growth.sizes(size)
        for n in sizes if self.growth.wants(what) else ():
            way = settings(n)
            before = self.group.seconds()
            with self.up(way):
                start = self.group.seconds() - before
                self.growth.add(f"{what}: start", "s", LINEAR, sizes, n, start)
                self.growth.add(f"{what}: memory", "KiB", LINEAR, sizes, n, self.bench.memory() / 1024)
                protocol, mailbox = ("imap", SHORT) if tls else ("smtp", SMALL)
                self.growth.add(f"{what}: session", "us/session", most, sizes, n,
                                *self.load(way, protocol, mailbox, 1, AT_ONCE, tls=tls))

    def configurations(self):
        exempt = mail.SMTP["sender_domain"]["exempt"]
        self.configured("domains of ours", 10_000, FLAT, lambda n: self.postern(smtp=mail.SMTP | {
            "relay": {"local_domains": ["campus.example", *(f"d{i}.campus.example" for i in range(n - 1))]}}))
        self.configured("domains of senders", 10_000, FLAT, lambda n: self.postern(smtp={"sender_domain": {
            "exempt": exempt + [f"d{i}.good.example" for i in range(n - 1)]}}))
        self.configured("senders that are refused", 10_000, FLAT, lambda n: self.postern(smtp=mail.SMTP | {
            "sender_list": {"deny": [f"u{i}@bad.example" for i in range(n)]}}))
        self.configured("networks inside", 10_000, FLAT, lambda n: self.postern(
            inside=["10.0.0.0/8", *(f"172.{16 + i // 32768}.{i // 128 % 256}.{2 * i % 256}" for i in range(n - 1))]))
        self.configured("extensions and types that are refused", 100, LINEAR, lambda n: self.postern(content={
            "deny_extensions": [f"x{i}" for i in range(n)], "deny_types": [f"application/x-{i}" for i in range(n)]}))
        self.configured("digests that are refused", 100_000, FLAT, self.refusing)
        self.configured("rules of TLS", 20, LINEAR, self.ruled, ("1.3", "full"))

    def refusing(self, n):
        file = self.bench.lab.dir / f"digests-{n}"
        file.write_text("".join(hashlib.sha256(b"%d" % i).hexdigest() + "\n" for i in range(n)))
        return self.postern(content={"deny_sha256": str(file)})

    def ruled(self, n):
        theirs = self.bench.certificate
        return ways.Postern("Postern", self.bench.build, Certificate(self.bench.lab, NAME), theirs, limits=LIMITS,
                            nofile=ways.FILES, smtp=mail.SMTP, tls_rule={f"r{i}": {"servers": [f"10.99.0.{i}"], "action": "pass"}
                                                      for i in range(n)})


def traffic_grows(growth, build, times, seconds):
    with mail.bench(build, lambda lab: Certificate(lab, NAME)) as bench:
        # The kernel takes every other port first. When one client holds half of them all, each connect looks at
        # thousands: a millisecond that no gateway has with many clients.
        bench.lab.gateway.sysctl("ipv4/ip_local_port_range", "2000 39999")
        with gauge.serving(bench.lab, build, bench.groups, bench_ftp.PORT, "ftp_sink", f"{ways.SERVER}:{bench_ftp.PORT}"):
            for _ in range(times):
                one = Traffic(growth, bench, seconds)
                one.sessions()
                one.ftp()
                one.configurations()
                one.waiting()


# ---- messages and captures, without a gateway ----


def leaf(octets, name="a.bin"):
    return (f'Content-Type: application/octet-stream; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            .encode() + base64.encodebytes(octets).replace(b"\n", b"\r\n"))


def of_parts(*parts):
    return b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"".join(
        b"--b\r\n" + part for part in parts) + b"--b--\r\n"


def nested(n):
    open_ = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i) for i in range(n))
    return open_ + b"\r\nhello\r\n" + b"".join(b"--b%d--\r\n" % i for i in reversed(range(n)))


HEAD = b"From: a@good.example\r\nTo: b@campus.example\r\nMIME-Version: 1.0\r\n"
# title: (size, message of such a size); ten times that is within what is read of one (mime_limits, urls_max)
MESSAGES = {
    "octets of an attachment": (1_000_000, lambda n: HEAD + of_parts(leaf(random.Random(7).randbytes(n)))),
    "parts of a message": (100, lambda n: HEAD + of_parts(*[leaf(b"some octets" * 9)] * n)),
    "fields of a header": (90, lambda n: HEAD + b"Received: from a.example by b.example\r\n" * n + b"\r\nhello\r\n"),
    "multiparts within each other": (10, lambda n: HEAD + nested(n)),
    "links of a text": (10, lambda n: HEAD + b"\r\n" + b"".join(b"see http://h%d.example/a\r\n" % i for i in range(n))),
}


def messages_grow(growth, build, work, seconds):
    for title, (size, make) in MESSAGES.items():
        sizes = growth.sizes(size)
        for n in sizes if growth.wants(title) else ():
            file = work / "message.eml"
            file.write_bytes(make(n))
            *_, disturbed = bench_captures.run([build / "bench" / "mime_postern", file, seconds, "all"], work / "out")
            _, messages, _, spent, *_ = map(float, (work / "out").read_text().split())
            growth.add(title, "us/message", LINEAR, sizes, n, spent / messages * 1e6, disturbed)


def read(growth, build, work, sizes, size, what, capture):
    """postern read of a capture: its processor time and its memory at the highest point."""
    _, spent, peak, disturbed = bench_captures.run([build / "postern", "read", capture], work / "out")
    most = FLAT if what.startswith("octets") else LINEAR
    growth.add(f"{what}: reading", "s", LINEAR, sizes, size, spent, disturbed)
    growth.add(f"{what}: memory", "MiB", most, sizes, size, peak)


def captures_grow(growth, build, work, times):
    capture, whole, open_ = work / "traffic.pcap", "octets of a capture", "sessions of a capture that never end"
    sizes = growth.sizes(100_000_000)
    made = traffic.templates()
    for size in sizes if growth.wants(whole) else ():
        with open(capture, "wb", 1 << 20) as out:
            # few at once, and slow ones: a smaller capture must be no smaller crowd, nor shorter than the minute
            # for which a connection that has ended is known (CONNECTION_REUSE_SECONDS)
            traffic.write(out, size, traffic.Facts(), made=made, at_once=5, pause=40_000)
        for _ in range(times):
            read(growth, build, work, sizes, size, whole, capture)
    sizes = growth.sizes(10_000)
    for size in sizes if growth.wants(open_) else ():
        with open(capture, "wb", 1 << 20) as out:
            traffic.write_half_open(out, size, "greeted")
        for _ in range(times):
            read(growth, build, work, sizes, size, open_, capture)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: whether it works, and no figures")
    parser.add_argument("--only", default="", help="lines that have this in their name")
    options = parser.parse_args()
    build = options.build.resolve()
    growth, seconds = Growth(options.only, options.quick), 0.2 if options.quick else 0.7
    work = build / "bench" / "growth"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        for _ in range(options.rounds):
            messages_grow(growth, build, work, seconds)
        captures_grow(growth, build, work, options.rounds)
        traffic_grows(growth, build, options.rounds, seconds)
    finally:
        shutil.rmtree(work)
    with rounds.shown(build / "bench" / "growth.md"):
        growth.show()
    growth.write(build / "bench" / "growth.json")


if __name__ == "__main__":
    main()
