#!/usr/bin/python3
"""FTP through the gateway beside other ways: bench_ftp.py [--rounds N] [--quick] [--idle N] BUILD.

One large file passive, active from the client, and up; sessions of 1 KB, ten at once and one after the
other; and what a session costs that has logged in and waits. Each run checks that all octets arrived as
they were sent, and that they went through what the row names.
"""

import argparse
import collections
import math
import pathlib

import gauge
import lab as L
import mail
import rounds
import ways

GIB = 1 << 30
PORT = 21
SMALL, AT_ONCE = 1024, 10
# Postern keeps six descriptors for each session, should it come to transfers (proxy/budget.h): a worker that may
# have ways.FILES open takes 3,150. As many workers as leave room where they do not get the same number.
WAITING = 2250
WORKLOADS = ("passive", "active", "upload", "sessions", "latency")
AGAINST = ["direct", "bare relay", "bare relay, SHA-256", "HAProxy", "ftp-proxy"]
PAST_IT = "the server's connection to the client would go by it, forwarded by the kernel"


class Postern(ways.Postern):
    """
    As it is shipped it is always passive towards the server. as_client: as the client chose on both sides; to
    clients that are passive themselves the two are the same.
    """

    def __init__(self, name, build, as_client=False, ftp=None, **settings):
        ftp = {"server_data": "same" if as_client else "passive"} | (ftp or {})
        super().__init__(name, build, limits=mail.LIMITS, nofile=ways.FILES, ftp=ftp,
                         **settings)
        self.as_client = as_client
        self.inspects = ftp.get("inspect", True)
        self.digests = self.inspects and settings.get("mime", {}).get("digests") != []


def ways_of(build):
    by = {"inspect": False}
    return [
        ways.Direct("direct"),
        # files go by every program: its policy drops what the kernel's helper has not announced
        ways.Helper("kernel helper"),
        ways.HAProxy("HAProxy", splice=False),
        ways.HAProxy("HAProxy, splice", splice=True),
        ways.FtpProxy("ftp-proxy"),
        ways.BareRelay("bare relay", build, "copy"),
        ways.BareRelay("bare relay, splice", build, "splice"),
        ways.BareRelay("bare relay, SHA-256", build, "sha256"),
        ways.BareRelay("bare relay, SHA-256, kernel set as for ours", build, "sha256", as_ours=True),
        Postern("Postern", build),
        Postern("Postern, no digests", build, mime={"digests": []}),
        Postern("Postern, nothing looked at", build, ftp=by),
        Postern("Postern, active on both sides", build, as_client=True),
        Postern("Postern, active on both sides, nothing looked at", build, as_client=True, ftp=by),
    ]


def workers_for(n):
    """Of a Postern where n sessions wait."""
    return max(1, math.ceil(n / WAITING))


def waiting_ways_of(build, n):
    """Where n sessions only wait."""
    workers = workers_for(n)
    return [
        ways.HAProxy("HAProxy", splice=False),
        ways.FtpProxy("ftp-proxy"),
        ways.BareRelay("bare relay", build, "copy"),
        Postern("Postern", build, workers=workers),
        Postern("Postern, nothing looked at", build, ftp={"inspect": False}, workers=workers),
    ]


def workloads_of(way):
    """Those that make a difference to it, and why it cannot do another one."""
    if getattr(way, "as_client", False):
        return {"active": None}
    by = isinstance(way, (ways.HAProxy, ways.BareRelay))
    return {workload: PAST_IT if by and workload == "active" else None for workload in WORKLOADS}


class Bench(gauge.Gauge):
    """
    seconds  of a run with small files
    size     of the large one
    """

    def __init__(self, lab, build, groups, seconds, size):
        super().__init__(lab, build, groups)
        self.seconds, self.size = seconds, size

    def idle_argv(self, way, protocol, n):
        return self.generator("ftp_load", f"{way.address}:{PORT}", "idle", n)

    def load(self, way, size, at_once, seconds, mode, direction):
        """One run of ftp_load. It compares every octet that comes, as ftp_sink does of what it gets."""
        r = self.run(self.generator("ftp_load", f"{way.address}:{PORT}", size, at_once, seconds, way.data[mode],
                                    direction))
        # "data", "226": it came or went, and was another one, or it broke off; a peer may break off
        ours = isinstance(way, (ways.Direct, ways.Postern))
        if (ours and r["error"] in ("data", "226", "size")) or \
                (not r["errors"] and r["octets"] != r["sessions"] * size):
            raise SystemExit(f"{way.name}: {r['octets']} octets in {r['sessions']} files of {size}, {r['error']}")
        return r | {"transfers": (mode, "upload" if direction == "up" else "download", size)}

    def large(self, way, mode, direction="down"):
        r = self.load(way, self.size, 1, 0, mode, direction)
        whole = self.size if r["sessions"] and not r["errors"] else 0
        return r | {"value": gauge.of_each(whole, whole and r["seconds"], 1e-6), "cpu": gauge.of_each(r["cpu"], whole, 1e9)}

    def small(self, way):
        r = self.load(way, SMALL, AT_ONCE, self.seconds, "passive", "down")
        return r | {"value": gauge.of_each(r["sessions"], r["sessions"] and r["seconds"], 1),
                    "cpu": gauge.of_each(r["cpu"], r["sessions"], 1e6)}

    def latency(self, way):
        """Microseconds that half of the sessions took at most, one after the other."""
        r = self.load(way, SMALL, 1, self.seconds / 2, "passive", "down")
        return r | {"value": r["p50"] if r["sessions"] else None, "cpu": gauge.of_each(r["cpu"], r["sessions"], 1e6)}

    def measure(self, way, workload):
        return {"passive": lambda: self.large(way, "passive"), "active": lambda: self.large(way, "active"),
                "upload": lambda: self.large(way, "passive", "up"), "sessions": lambda: self.small(way),
                "latency": lambda: self.latency(way)}[workload]()


def carried(way, record):
    """
    (mode, direction, size) of a file that a record says to have gone the way that its row names; None: it did
    not. One that nobody looks into, and that is passive on both sides, goes past the gateway's program: the kernel
    forwards that one connection, and counts it with its headers.
    """
    data = record["ftp_data"]
    mode, size = data["client"]["mode"], int(data["filename"])
    if data["outcome"] != "complete" or data.get("let_by", False) != (not way.inspects and mode == "passive"):
        return None
    if "let_by" in data:
        return (mode, data["direction"], size) if data["octets_in"] > size else None
    whole = data["octets_in"] == data["octets_out"] == size
    towards = mode if way.as_client else "passive"
    return (mode, data["direction"], size) if whole and data["server"]["mode"] == towards else None


def went_through(gateway, way, transfers):
    """
    The records say so of every session and of the file in it, with a digest of each where it should have one.
    transfers: Counter of what carried() says. A peer's other connections are dropped: see ways.NONE_BY.
    """
    if gateway is None:
        return
    seen = collections.Counter()

    def written():
        seen.clear()
        for record in gateway.records():
            what = record["event_type"]
            seen[carried(way, record) if what == "ftp_data" else what] += 1
            seen["digests"] += "sha256" in record.get("fileinfo", {})
        return seen["flow"] >= transfers.total() and transfers <= seen

    try:
        L.wait_for(written, 5, interval=0.3)
    except TimeoutError:
        raise SystemExit(f"{way.name}: {dict(transfers)}; in its records {dict(seen)}") from None
    if (seen["digests"] < transfers.total()) if way.digests else seen["digests"]:
        raise SystemExit(f"{way.name}: {dict(transfers)} with {seen['digests']} digests")


def measure(bench, table, way, n, left_out):
    """left_out: {(workload, way): why}"""
    gauge.forget_sockets(bench.lab)
    transfers = collections.Counter()
    with way.up(bench.lab, bench.groups["gateway"]) as gateway:
        for workload, cannot in workloads_of(way).items():
            if cannot:
                left_out[f"{workload} transfers", way.name] = cannot
                continue
            r = bench.measure(way, workload)
            transfers[r["transfers"]] += r["sessions"]
            table.add(workload, way.name, **{k: r[k] for k in ("value", "cpu", "disturbed", "errors", "p99")})
            rounds.say(n, way.name, workload, r)
        went_through(gateway, way, transfers)


def show(table, size, idle, n, left_out, not_held):
    large = f"of {size / GIB:.3g} GiB, one file"
    active = ["direct", "kernel helper", "ftp-proxy"]
    print(table.text("passive", f"## FTP: download {large}, passive", "MB/s", "s/GB", AGAINST))
    print(table.text("active", f"## FTP: download {large}, active from the client", "MB/s", "s/GB", active))
    print(table.text("upload", f"## FTP: upload {large}, passive", "MB/s", "s/GB", AGAINST))
    print(table.text("sessions", f"## FTP: sessions with a file of 1 KB, {AT_ONCE} at once", "sessions/s", "us/session",
                     AGAINST))
    print(table.added("latency", "## FTP: a session with a file of 1 KB, one after the other"))
    gauge.show_idle(idle, f"## {n} idle sessions of FTP")
    if n > WAITING:
        print(f"\nPostern with {workers_for(n)} workers: each keeps descriptors for the transfers of all its sessions.")
    gauge.show_not_held(not_held)
    gauge.show_left_out(left_out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--idle", type=int, default=3000, help="sessions that wait; 0: none")
    parser.add_argument("--ways", default="", help="only those whose name has this in it")
    options = parser.parse_args()
    build = options.build.resolve()
    seconds, size = (0.2, GIB // 16) if options.quick else (1.0, GIB)
    all_ways = [way for way in ways_of(build) if options.ways in way.name]
    table, left_out = rounds.Table(WORKLOADS, [way.name for way in all_ways]), {}
    with gauge.laboratory() as (lab, groups), \
            gauge.serving(lab, build, groups, PORT, "ftp_sink", f"{ways.SERVER}:{PORT}"):
        bench = Bench(lab, build, groups, seconds, size)
        for n in range(options.rounds):
            for way in all_ways:
                measure(bench, table, way, n, left_out)
        waiting = [way for way in waiting_ways_of(build, options.idle) if options.ways in way.name]
        idle = bench.idle_of(waiting, "ftp", options.idle, 1)
    for way in waiting:
        if gauge.idle_at_once(way, options.idle) < options.idle:
            left_out[f"{options.idle} idle sessions", way.name] = (
                f"it takes {way.at_once} at once; its figure is of {gauge.idle_at_once(way, options.idle)}")
    with rounds.shown(build / "bench" / "ftp.md"):
        show(table, size, idle, options.idle, left_out, bench.left_out)
    table.write(build / "bench" / "ftp.json", idle=idle,
                left_out={f"{workload}, {way}": why for (workload, way), why in left_out.items()} | bench.left_out)


if __name__ == "__main__":
    main()
