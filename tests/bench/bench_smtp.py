#!/usr/bin/python3
"""SMTP through the gateway beside other ways: bench_smtp.py [--rounds N] [--quick] [--idle N] BUILD.

Sessions without a message (EHLO, QUIT), one after the other; with one of 4 KB, one after the other, ten and
a hundred at once; with fifty of them; messages of 10 MB, one after the other and ten at once; and what a
session costs that has sent one and waits. The server takes a message only if it is octet for octet what was
sent.
"""

import argparse
import pathlib

import gauge
import mail
import rounds
import ways

SMALL, BIG, MANY = "letter-4096", "letter-10485760", 50
BUFFERS = "proxy_buffer 64k; smtp_client_buffer 64k;"
AGAINST = ["direct", "bare relay", "bare relay, SHA-256", "HAProxy", "nginx stream", "nginx mail, 64 KB buffers"]
ANSWERS_ITSELF = "it answers EHLO and QUIT itself, and calls no server"
# name: (what, mailbox, messages a session, sessions at once, part of the time)
WORKLOADS = {
    "short": ("latency", SMALL, 0, 1, 0.5),
    "one": ("latency", SMALL, 1, 1, 0.5),
    "ten": ("sessions", SMALL, 1, 10, 1),
    "hundred": ("sessions", SMALL, 1, 100, 1),
    "fifty messages": ("messages", SMALL, MANY, 10, 1),
    "big, one": ("octets", BIG, 1, 1, 1),
    "big, ten": ("octets", BIG, 1, 10, 1),
}


def measure(bench, table, way, seconds, n, left_out):
    """left_out: {(workload, way): why}"""
    sessions = sent = 0
    with way.up(bench.lab, bench.groups["gateway"]) as gateway:
        for workload, (what, mailbox, messages, at_once, part) in WORKLOADS.items():
            if messages == 0 and isinstance(way, ways.Nginx) and way.module == "mail":
                left_out["a session without a message", way.name] = ANSWERS_ITSELF
                continue
            r = getattr(bench, what)(way, "smtp", mailbox, messages, at_once, seconds * part)
            sessions += r["sessions"]
            sent += r["sessions"] * messages
            table.add(workload, way.name, **{k: r[k] for k in ("value", "cpu", "disturbed", "errors", "p99")})
            rounds.say(n, way.name, workload, r)
        mail.went_through(gateway, way, sessions, messages=sent, letters=sent)


def show(table, idle, n, left_out, not_held):
    print(table.added("short", "## SMTP: a session without a message, one after the other"))
    print(table.added("one", "## SMTP: a session with one message of 4 KiB, one after the other"))
    for workload, at_once in (("ten", 10), ("hundred", 100)):
        print(table.text(workload, f"## SMTP: sessions with one message of 4 KiB, {at_once} at once", "sessions/s",
                         "us/session", AGAINST))
    print(table.text("fifty messages", f"## SMTP: sessions with {MANY} messages of 4 KiB, 10 at once", "messages/s",
                     "us/message", AGAINST))
    for workload, how in (("big, one", "one after the other"), ("big, ten", "10 at once")):
        print(table.text(workload, f"## SMTP: messages of 10 MiB, {how}", "MB/s", "s/GB", AGAINST))
    gauge.show_idle(idle, f"## {n} idle sessions of SMTP")
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
    all_ways = mail.clear_ways(build, BUFFERS, smtp=mail.SMTP)
    all_ways = [way for way in all_ways if options.ways in way.name]
    table, left_out = rounds.Table(WORKLOADS, [way.name for way in all_ways]), {}
    with mail.bench(build) as bench:
        for n in range(options.rounds):
            for way in all_ways:
                measure(bench, table, way, 0.2 if options.quick else 1.0, n, left_out)
        idle = bench.idle_of([way for way in all_ways if way.name != "direct"], "smtp", options.idle, 1)
    with rounds.shown(build / "bench" / "smtp.md"):
        show(table, idle, options.idle, left_out, bench.left_out)
    table.write(build / "bench" / "smtp.json", idle=idle,
                left_out={f"{workload}, {way}": why for (workload, way), why in left_out.items()} | bench.left_out)


if __name__ == "__main__":
    main()
