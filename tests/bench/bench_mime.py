#!/usr/bin/python3
"""MIME: bench_mime.py [--rounds N] [--quick] BUILD.

A message of 50 MB with a file in base64, one of 7 MB in quoted-printable, and 100,000 small ones (1,000
different ones, time and again), read by Postern and by GMime 3 in interleaved rounds; beside the first one,
SHA-256 alone. GMime has one parser for all and reads octets where they lie, which is its fastest; of the big
message also from a copy of it, as programs have it that read a message from memory. Each must have found what
is in the messages: leaves, decoded octets, digests.
"""

import argparse
import pathlib
import shutil
import sys

import bench_captures
import messages
import rounds

DIFFERENT, SMALL = 1_000, 100_000
SHA256 = "SHA-256 alone"
COPIES = {"GMime of a copy, tree": ("gmime", "copy-tree"), "GMime of a copy, SHA-256": ("gmime", "copy-sha256")}
# name: (program, what it does)
READERS = {
    "GMime, tree": ("gmime", "tree"),
    "Postern, tree": ("mime_postern", "tree"),
    "GMime, SHA-256": ("gmime", "sha256"),
    "Postern, SHA-256": ("mime_postern", "sha256"),
    "Postern, all that is recorded": ("mime_postern", "all"),
}
# name: (title, unit, what processor time is per)
SHOWN = {
    "big": ("A message of {mb:.0f} MB with a file in base64", "MB/s", "s/GB"),
    "quoted-printable": ("A message of {mb:.0f} MB in quoted-printable", "MB/s", "s/GB"),
    "small": ("{n} small messages, {kb:.1f} KB on average", "messages/s", "us/message"),
}
MORE = {"mb": "MB/s", "memory": "peak memory, MiB"}


class Workload:
    """Messages in a file, with their sizes in another."""

    def __init__(self, name, work, made, seconds, n=1):
        letters, self.found = made
        self.name, self.seconds, self.n, self.different = name, seconds, n, len(letters)
        self.file, self.index = work / f"{name}.eml", work / f"{name}.sizes"
        self.file.write_bytes(b"".join(letters))
        self.index.write_text("".join(f"{len(letter)}\n" for letter in letters))
        self.size = self.file.stat().st_size

    def title(self):
        text, *_ = SHOWN[self.name]
        return (text.format(mb=self.size / 1e6, n=self.n, kb=self.size / self.different / 1e3) +
                f" ({self.size / 1048576:.1f} MiB of the memory are what is read)")


def timed(argv, out):
    """(words of the last line that it printed, seconds of processor time, peak memory in MiB, disturbed)"""
    _, *spent = bench_captures.run(argv, out)
    return out.read_text().splitlines()[-1].split(), *spent


def read(build, workload, way, out):
    """What a reader did, as a cell takes it; where it found something else than there is, it did nothing."""
    program, what = (READERS | COPIES)[way]
    words, _, memory, disturbed = timed([build / "bench" / program, workload.file, workload.seconds, what,
                                         workload.n, workload.index], out)
    count, found = int(words[1]), tuple(map(int, words[4:]))
    took, spent = map(float, words[2:4])
    leaves, octets, digests = workload.found.times(count // workload.different)
    if what.endswith("tree"):
        digests = 0
    if found != (leaves, octets, digests):
        print(f"{way}: there are {leaves} leaves, {octets} octets, digests {digests}, and it found {found}")
        return {"value": 0, "cpu": 0, "disturbed": disturbed, "errors": 1, "mb": 0, "memory": memory}
    mb = workload.size * count / workload.different / 1e6
    small = workload.different > 1
    return {"value": (count if small else mb) / took, "cpu": spent * 1e6 / count if small else spent / mb * 1e3,
            "disturbed": disturbed, "errors": 0, "mb": mb / took, "memory": memory}


def digest(seconds, out):
    """openssl speed's last line: the digest, and thousands of octets a second of the wall's clock."""
    words, spent, memory, disturbed = timed(["openssl", "speed", "-elapsed", "-seconds", seconds, "-bytes", 16384,
                                             "-evp", "sha256"], out)
    mb = float(words[-1].rstrip("k")) / 1e3
    return {"value": mb, "cpu": spent / (mb * seconds) * 1e3, "disturbed": disturbed, "errors": 0, "mb": mb,
            "memory": memory}


def measure(table, build, workloads, work, n):
    for workload in workloads:
        for way in table.cells[workload.name]:
            r = digest(1, work / "out") if way == SHA256 else read(build, workload, way, work / "out")
            table.add(workload.name, way, **r)
            print(f"{n} {workload.name:16} {way:30} {r['value']:8.0f} {r['mb']:8.0f} MB/s cpu {r['cpu']:7.2f} "
                  f"{r['memory']:5.0f} MiB", flush=True)


def show(table, workloads):
    for workload in workloads:
        _, unit, cpu_unit = SHOWN[workload.name]
        more = {name: head for name, head in MORE.items() if head != unit}
        against = ["GMime, tree", "GMime, SHA-256", *COPIES]
        print(table.text(workload.name, f"## {workload.title()}", unit, cpu_unit, against, medians=more))


def errors(table):
    return sum(cell.errors for ways in table.cells.values() for cell in ways.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    build, seconds = options.build.resolve(), 0.2 if options.quick else 1
    work = build / "bench" / "mime"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        workloads = [
            Workload("big", work, messages.big(5_000_000 if options.quick else 50_000_000), seconds),
            Workload("quoted-printable", work, messages.quoted(4_600_000), seconds),
            Workload("small", work, messages.small(DIFFERENT), 0, SMALL // 20 if options.quick else SMALL),
        ]
        table = rounds.Table(SHOWN, READERS)
        table.cells["big"] |= {way: rounds.Cell() for way in (*COPIES, SHA256)}
        for n in range(options.rounds):
            measure(table, build, workloads, work, n)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with rounds.shown(build / "bench" / "mime.md"):
        show(table, workloads)
    table.write(build / "bench" / "mime.json")
    if errors(table):
        sys.exit("they did not do the same work")


if __name__ == "__main__":
    main()
