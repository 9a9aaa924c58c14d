#!/usr/bin/python3
"""Captures: bench_captures.py [--rounds N] [--quick] BUILD.

A capture of 1 GB of mixed mail and FTP traffic, read by postern read, by tcpflow, and by tshark (which has a
capture of a tenth of that, of the same traffic, since it needs minutes for the whole) with the fields that give
the same facts, in interleaved rounds; each must have found what is in it. Then the memory of postern read at a
tenth, one and ten times that size, and with 100,000 sessions that never end.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import cpu
import rounds
import traffic

SIZE, HALF_OPEN = 1_000_000_000, 100_000
TSHARK_PART = 10  # of the capture, one in so many octets
FIELDS = ("frame.time_epoch", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "smtp.req.command", "smtp.req.parameter",
          "smtp.response.code", "smtp.rsp.parameter", "imf.from", "imf.to", "imf.subject", "imf.message_id",
          "mime_multipart.header.content-disposition", "ftp.request.command", "ftp.request.arg", "ftp.response.code",
          "ftp-data.command", "pop.request.command", "pop.request.parameter", "imap.request.command",
          "tls.handshake.extensions_server_name")
UNJUDGED = "smtp { relay { check = off } sender_domain { check = off } }\n"  # as it is without a configuration
CONFIGURATIONS = {
    "postern read": None,
    "postern read, no digests": "mime { digests = {} }\n",
    "postern read, nothing inspected": "mime { inspect = no }\nftp { inspect = no }\n",
}


def watched(pid):
    """
    Octets of memory at the highest point, once it has ended. (What the kernel tells at the end begins with what
    we had ourselves when we made the process.)
    """
    peak, ended = 0, False
    while not ended:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        found = re.search(r"^VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        peak = max(peak, int(found.group(1)) * 1024 if found else 0)
        time.sleep(0 if ended else 0.01)
    return peak


def run(argv, out, stdin=None):
    """
    (seconds, seconds of processor time, peak memory in MiB, disturbed) of a program whose standard output is a
    file.
    """
    with open(out, "wb") as stdout, open(f"{out}.err", "wb") as stderr:
        start, busy = time.monotonic(), cpu.busy()
        process = subprocess.Popen([*map(str, argv)], stdin=stdin or subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        peak = watched(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        took, busy = time.monotonic() - start, cpu.busy() - busy
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{argv[0]}: exit code {process.returncode}: {pathlib.Path(f'{out}.err').read_text()[-500:]}")
    spent = usage.ru_utime + usage.ru_stime
    return took, spent, peak / 1048576, busy - spent > rounds.QUIET * took + cpu.TICK


class Capture:
    """A file of about so many octets of traffic, and what is in it."""

    def __init__(self, path, size):
        self.path, self.facts = path, traffic.Facts()
        with open(path, "wb", 1 << 20) as out:
            self.size = traffic.write(out, size, self.facts)


class Records:
    """What postern read wrote, counted."""

    def __init__(self, path):
        self.kinds, self.subjects, self.digests = collections.Counter(), collections.Counter(), collections.Counter()
        self.outcomes = collections.Counter()
        with open(path) as lines:
            for line in lines:
                self.add(json.loads(line))

    def add(self, r):
        self.kinds[r["event_type"]] += 1
        if "email" in r and r["event_type"] in ("smtp", "email"):
            self.subjects[r["email"].get("subject")] += 1
        if r["event_type"] == "fileinfo":
            self.digests[r["fileinfo"].get("sha256")] += 1
        if r["event_type"] == "ftp_data":
            self.outcomes[r["ftp_data"]["outcome"]] += 1


def same(what, theirs, ours):
    if theirs != ours:
        raise SystemExit(f"{what}: there are {theirs}, and it found {ours}")


def check_postern(name, facts, work):
    found = Records(work / "out")
    same(f"{name}: mails", facts.smtp, found.kinds["smtp"])
    same(f"{name}: messages fetched", facts.retrieved, found.kinds["email"] if "inspected" not in name else facts.retrieved)
    same(f"{name}: files", facts.files, found.kinds["ftp_data"])
    same(f"{name}: whole files", facts.files, found.outcomes["complete"])
    same(f"{name}: sessions", facts.sessions, found.kinds["flow"])
    if "inspected" not in name:
        same(f"{name}: subjects", facts.subjects, found.subjects)
    if name == "postern read":
        same(f"{name}: digests", facts.digests, found.digests)
    if found.kinds["anomaly"]:
        raise SystemExit(f"{name}: {found.kinds['anomaly']} anomalies")


def check_tcpflow(name, facts, work):
    size = sum(f.stat().st_size for f in (work / "flows").iterdir() if f.name != "report.xml")
    same(f"{name}: octets of streams", facts.octets, size)


def check_tshark(name, facts, work):
    """It puts messages together as well as it can; what it does not find is shown, and no failure of ours."""
    place = FIELDS.index("imf.subject")
    with open(work / "out", errors="replace") as lines:
        found = sum(subject.count("Report ") for subject in (line.split("\t")[place] for line in lines))
    print(f"  tshark found {found} of {sum(facts.subjects.values())} subjects")
    if not found or found < sum(facts.subjects.values()) // 2:
        raise SystemExit("tshark did not do the work that it is compared for")


def ways(build, capture, smaller, work):
    """{name: (argv, check, which capture it reads)}"""
    made = {}
    for name, text in CONFIGURATIONS.items():
        argv = [build / "postern", "read"]
        if text:
            path = work / f"{len(made)}.conf"
            path.write_text(UNJUDGED + text)
            argv += ["-c", path]
        made[name] = ([*argv, capture.path], check_postern, capture)
    made["tcpflow"] = (["tcpflow", "-q", "-r", capture.path, "-o", work / "flows"], check_tcpflow, capture)
    fields = [x for field in FIELDS for x in ("-e", field)]
    mail = "smtp || imf || ftp || ftp-data || pop || imap || tls.handshake"
    made["tshark"] = (["tshark", "-n", "-r", smaller.path, "-Y", mail, "-T", "fields", *fields], check_tshark, smaller)
    return made


def measure(table, name, argv, check, capture, work):
    facts, size = capture.facts, capture.size
    shutil.rmtree(work / "flows", ignore_errors=True)
    (work / "flows").mkdir()
    took, spent, memory, disturbed = run(argv, work / "out")
    check(name, facts, work)
    table.add("capture", name, value=size / 1e6 / took, cpu=spent / (size / 1e9), disturbed=disturbed, errors=0,
               packets=facts.packets / took, memory=memory)
    print(f"{name:34} {size / 1e6 / took:8.0f} MB/s {facts.packets / took / 1e6:6.2f} M packets/s {memory:6.0f} MiB", flush=True)


def show(table, capture, smaller):
    facts, size = capture.facts, capture.size
    print(f"\n## A capture of {size / 1e9:.2f} GB, {facts.packets} packets, {facts.sessions} sessions, {facts.smtp} mails "
          f"sent, {facts.retrieved} fetched, {facts.files} files, {facts.tls} sessions under TLS\n")
    print(f"tshark reads {smaller.size / 1e6:.0f} MB of such traffic, {smaller.facts.packets} packets; its memory is for that.\n")
    print("| way | MB/s, median (min-max) | of tcpflow | of tshark | million packets/s | CPU s/GB | peak memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    for name, cell in table.cells["capture"].items():
        ratios = [table.ratio("capture", name, to) for to in ("tcpflow", "tshark")]
        print(f"| {name} | {cell.text()} | " + " | ".join(f"{r:.2f}" for r in ratios) +
              f" | {cell.median('packets') / 1e6:.2f} | {cell.spent():.2f} | {cell.median('memory'):.0f} |")


def memory(build, size, work):
    """{what: MiB}: capture through standard input, from a process that makes it."""
    found = {}
    for times in (0.1, 1, 10):
        argv = [sys.executable, "-B", __file__, "--make", int(size * times), build]
        with subprocess.Popen([*map(str, argv)], stdout=subprocess.PIPE) as maker:
            took, _, peak, _ = run([build / "postern", "read", "-"], work / "out", stdin=maker.stdout)
        found[f"{size * times / 1e9:g} GB"] = peak
        print(f"{size * times / 1e9:g} GB: {peak:.0f} MiB, {size * times / 1e6 / took:.0f} MB/s with its maker beside it", flush=True)
    return found


def half_open(build, n, work):
    """{kind: (MiB, octets for each session, seconds)}"""
    found = {}
    capture = work / "half-open.pcap"
    with open(capture, "wb") as out:
        traffic.write_half_open(out, 1, "greeted")
    least = run([build / "postern", "read", capture], work / "out")[2]
    for kind in traffic.HALF_OPEN:
        with open(capture, "wb", 1 << 20) as out:
            traffic.write_half_open(out, n, kind)
        took, _, peak, _ = run([build / "postern", "read", capture], work / "out")
        found[kind] = (peak, (peak - least) * 1048576 / n, took)
        print(f"{n} sessions, {kind}: {peak:.0f} MiB, {found[kind][1]:.0f} octets each, {took:.2f} s", flush=True)
    return found


def show_memory(sizes, half_open):
    print("\n## Memory of postern read\n\n| capture | peak, MiB |\n|---|---|")
    for what, peak in sizes.items():
        print(f"| {what} of that traffic | {peak:.0f} |")
    for kind, (peak, each, _) in half_open.items():
        print(f"| sessions that never end, {kind}: {each:,.0f} octets each | {peak:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--make", type=int, help="octets of a capture, to standard output, and nothing else")
    options = parser.parse_args()
    if options.make:
        with open(1, "wb", 1 << 20, closefd=False) as out:
            traffic.write(out, options.make, traffic.Facts())
        return
    size, n = (SIZE // 50, HALF_OPEN // 10) if options.quick else (SIZE, HALF_OPEN)
    build = options.build.resolve()
    # what one reader writes must not be written to a disk beside the next one
    work = pathlib.Path(tempfile.mkdtemp(prefix="postern-captures-", dir="/dev/shm"))
    try:
        capture = Capture(work / "traffic.pcap", size)
        smaller = Capture(work / "smaller.pcap", size // TSHARK_PART)
        todo = ways(build, capture, smaller, work)
        table = rounds.Table(["capture"], todo)
        for _ in range(options.rounds):
            for name, (argv, check, read) in todo.items():
                measure(table, name, argv, check, read, work)
        sizes, open_ = memory(build, size, work), half_open(build, n, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with rounds.shown(build / "bench" / "captures.md"):
        show(table, capture, smaller)
        show_memory(sizes, open_)
    table.write(build / "bench" / "captures.json", memory=sizes, half_open=open_)


if __name__ == "__main__":
    main()
