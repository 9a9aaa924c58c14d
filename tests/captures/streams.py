"""The streams of a capture, as analyzers/tcp reads them and as tcpflow does, octet for octet."""

import collections
import ipaddress
import re
import subprocess
from pathlib import Path

HELPER = Path(__file__).resolve().parents[2] / "build/captures/streams"
TCPFLOW = re.compile(r"([0-9a-fA-F.:]+)_(\d+)_([0-9a-fA-F.:]+)_(\d+)_\d+")


def ends_of(a, p, b, q):
    """Sender and receiver; of IPv6 the ports alone, for tcpflow cuts the addresses in its names."""
    if ":" in a or ":" in b:
        return int(p), int(q)
    return f"{plain(a)}.{int(p)}", f"{plain(b)}.{int(q)}"


def plain(address):
    return str(ipaddress.ip_address(".".join(str(int(part)) for part in address.split("."))))


def ours(path, folder):
    """({ends: contents of its connections}, {ends: what is odd about one of them})"""
    folder.mkdir()
    done = subprocess.run([HELPER, path, folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said, odd = collections.defaultdict(list), collections.defaultdict(set)
    for line in done.stdout.splitlines():
        name, *what = line.split()
        there, number = name.rsplit(".", 1)
        for one in (there, "-".join(reversed(there.split("-")))):
            sides = [side.rpartition(".") for side in one.split("-")]
            ends = ends_of(*(part for a, _, p in sides for part in (a, p)))
            octets = (folder / f"{one}.{number}").read_bytes()
            if octets:
                said[ends].append(octets)
            odd[ends] |= set(what)
    return said, odd


def theirs(path, folder):
    """{ends: contents of its connections}"""
    folder.mkdir()
    done = subprocess.run(["tcpflow", "-q", "-r", path, "-o", folder, "-T", "%A_%a_%B_%b_%#", "-E", "tcpdemux"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = collections.defaultdict(list)
    for file in folder.iterdir():
        found = TCPFLOW.fullmatch(file.name)
        if found and file.stat().st_size:
            said[ends_of(*found.groups())].append(file.read_bytes())
    return said


def differences(path, folder):
    """({ends: (their contents, ours)} where they are not the same, {ends: what is odd}, number of the same ones)"""
    we, odd = ours(path, folder / "ours")
    they = theirs(path, folder / "theirs")
    found = {ends: (they[ends], we[ends]) for ends in we.keys() | they.keys()
             if sorted(they[ends]) != sorted(we[ends])}
    return found, odd, sum(len(octets) for octets in we.values()) - sum(len(w) for _, w in found.values())


# What is odd about a connection, and what tcpflow makes of it; everything else has to be the same.
EXCUSES = {
    "gap": "octets that the other side has acknowledged are given up, and a FIN says where a stream ends; tcpflow looks "
           "at neither: it takes late octets still, and knows of no hole at the end",
    "stray, joined": "octets ahead of their own SYN are not taken, or begin a connection in its middle; tcpflow takes them",
    "conflict": "of two copies that differ the first stays; tcpflow writes the last one over it",
}


def agree_where_both_have(theirs, ours):
    """Connections in their order, octet for octet; a NUL may be a hole."""
    return len(theirs) == len(ours) and all(
        a == b or a == 0 or b == 0 for t, o in zip(theirs, ours) for a, b in zip(t, o))


def nothing_else(theirs, ours):
    """Whatever ours has between two holes is in theirs."""
    return all(any(piece in t for t in theirs) for o in ours for piece in re.split(b"\0+", o))


def excused(odd, theirs, ours):
    if odd & {"stray", "joined", "skip"}:
        return "conflict" in odd or nothing_else(theirs, ours)
    return "conflict" in odd or ("gap" in odd and agree_where_both_have(theirs, ours))


def unexcused(found, odd):
    """Lines for those of differences() that no row of EXCUSES has."""
    lines = []
    for ends, (they, we) in found.items():
        if excused(odd[ends], they, we):
            continue
        lines.append(f"{'-'.join(map(str, ends))} {' '.join(sorted(odd[ends]))}: theirs {[len(t) for t in they]}, "
                     f"ours {[len(w) for w in we]}")
    return lines
