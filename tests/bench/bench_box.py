#!/usr/bin/python3
"""POP3 or IMAP through the gateway beside other ways: bench_box.py [--rounds N] [--quick] [--idle N] BUILD pop3|imap.

Sessions that fetch twenty messages of 100 KB, ten at once, of text and with an attachment; sessions
with one of 1 KB, ten at once, and one after the other; and what a session costs that has fetched one
and waits. Each run checks that all octets arrived as they were sent, and that they went through what
the row names.
"""

import argparse
import pathlib

import gauge
import mail
import rounds

MESSAGES, SIZE, AT_ONCE = 20, 102_400, 10
BIG = "proxy_buffer 64k; imap_client_buffer 64k;"
AGAINST = ["direct", "bare relay", "bare relay, SHA-256", "HAProxy", "nginx stream", "nginx mail, 64 KB buffers"]


def measure(bench, table, way, protocol, seconds, n):
    whole = f"letter-{SIZE}", f"text-{SIZE}"
    with way.up(bench.lab, bench.groups["gateway"]) as gateway:
        sessions, fetched = 0, {}
        for workload, run in (
                ("letter", lambda: bench.octets(way, protocol, whole[0], MESSAGES, AT_ONCE, seconds)),
                ("text", lambda: bench.octets(way, protocol, whole[1], MESSAGES, AT_ONCE, seconds)),
                ("sessions", lambda: bench.sessions(way, protocol, "text-1024", 1, AT_ONCE, seconds)),
                ("latency", lambda: bench.latency(way, protocol, "text-1024", 1, 1, seconds / 2))):
            r = run()
            sessions += r["sessions"]
            fetched[workload] = r["sessions"] * (MESSAGES if workload in ("letter", "text") else 1)
            table.add(workload, way.name, **{k: r[k] for k in ("value", "cpu", "disturbed", "errors", "p99")})
            rounds.say(n, way.name, workload, r)
        mail.went_through(gateway, way, sessions, messages=sum(fetched.values()), letters=fetched["letter"])


def show(table, protocol, idle, n, left_out):
    name = protocol.upper()
    what = f"{name}: {MESSAGES} messages of {SIZE // 1024} KiB a session, {AT_ONCE} at once"
    print(table.text("letter", f"## {what}: with an attachment", "MB/s", "s/GB", AGAINST))
    print(table.text("text", f"## {what}: text", "MB/s", "s/GB", AGAINST))
    print(table.text("sessions", f"## {name}: sessions with one message of 1 KiB, {AT_ONCE} at once", "sessions/s",
                     "us/session", AGAINST))
    print(table.added("latency", f"## {name}: a session with one message of 1 KiB, one after the other"))
    gauge.show_idle(idle, f"## {n} idle sessions of {name}")
    gauge.show_not_held(left_out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("protocol", choices=("pop3", "imap"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--idle", type=int, default=3000, help="sessions that wait; 0: none")
    parser.add_argument("--ways", default="", help="only those whose name has this in it")
    options = parser.parse_args()
    build = options.build.resolve()
    all_ways = [way for way in mail.clear_ways(build, BIG) if options.ways in way.name]
    table = rounds.Table(("letter", "text", "sessions", "latency"), [way.name for way in all_ways])
    with mail.bench(build) as bench:
        for n in range(options.rounds):
            for way in all_ways:
                measure(bench, table, way, options.protocol, 0.2 if options.quick else 1.5, n)
        idle = bench.idle_of([way for way in all_ways if way.name != "direct"], options.protocol, options.idle, 1)
    with rounds.shown(build / "bench" / f"{options.protocol}.md"):
        show(table, options.protocol, idle, options.idle, bench.left_out)
    table.write(build / "bench" / f"{options.protocol}.json", idle=idle, left_out=bench.left_out)


if __name__ == "__main__":
    main()
