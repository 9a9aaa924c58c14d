"""
The wire beside the gateway: what stands between client and gateway is recorded, "postern read" reads
it with the gateway's own configuration, and its records are held against the gateway's.
"""

import collections
import fnmatch
import json
import os
import re
import signal
import struct
import subprocess
from pathlib import Path

from gateway import SANITIZER
from lab import ROOT, LabError, wait_for

READER = Path(os.environ.get("POSTERN", ROOT / "build/postern"))
COMPARED = {"smtp", "email", "ftp", "ftp_data", "pop3", "imap", "fileinfo", "anomaly"}

# What only one of both can know; the same table stands in docs/captures.md, and a test holds them
# together. A name with [] is in each object of a list.
ONE_SIDED = {
    "timestamp": "when the record was written: the capture's time is that of its packets",
    "flow_id": "made up for each session, by each of both",
    "upstream": "the gateway's own leg to the server is not on the client's side of the wire",
    "smtp.replies[].source": "the wire does not say who wrote a reply",
    "ftp.reply_source": "the same",
    "ftp_data.server": "the data connection between gateway and server is not on this side either",
    "ftp_data.client.tls": "the handshake of a data connection has no record of its own in a capture",
    "ftp_data.duration_ms": "the gateway's clock begins with what it does itself",
    "ftp_data.rate": "of the same clock",
    "imap.session.idle_ms": "the gateway's clock",
}


def unheard_replies(record):
    """
    Of the replies to a command of FTP the client hears those ahead of the last one (1xx) and one last one:
    what the server said in its place, and the gateway kept to itself, is in the gateway's record alone.
    """
    ftp = record.get("ftp", {})
    codes, texts = ftp.get("completion_code", []), ftp.get("reply", [])
    if len(codes) == len(texts):
        heard = [i for i, code in enumerate(codes) if code.startswith("1") or i == len(codes) - 1]
        for name in ("completion_code", "reply"):
            if name in ftp:
                ftp[name] = [ftp[name][i] for i in heard]


def octets_that_were_cut(record):
    """Of a transfer that did not come to its end each of both sides has other octets."""
    data = record.get("ftp_data", {})
    if record["event_type"] == "ftp_data" and data.get("outcome") != "complete":
        for name in ("octets_in", "octets_out", "reason"):
            data.pop(name, None)
    if record["event_type"] == "fileinfo" and record["fileinfo"]["state"] == "TRUNCATED" and data:
        record["fileinfo"].pop("size", None)


def offset_of_what_was_changed(record):
    """The server's octets are counted as the server sent them; the client hears fewer capabilities."""
    if record["event_type"] == "anomaly" and record.get("direction") == "to_client":
        record["anomaly"].pop("offset", None)


def capabilities_that_were_hidden(record):
    """The reply to EHLO: as the server said it, and as the client heard it."""
    for reply in record.get("smtp", {}).get("replies", []):
        if reply["command"] == "EHLO":
            reply.pop("text", None)


# Anomalies of the data connection between gateway and server.
OF_THE_OTHER_LEG = {"ftp_data_not_resumed", "ftp_session_reuse_refused"}


# The same of fields that both can know, but not always; by the names that docs/captures.md has.
SOMETIMES = {
    "smtp.replies[].text": capabilities_that_were_hidden,
    "ftp.reply": unheard_replies,
    "ftp_data.octets_in": octets_that_were_cut,
    "ftp_data.reason": octets_that_were_cut,
    "anomaly.offset": offset_of_what_was_changed,
}


def dropped(record, path):
    """Takes a field out of a record."""
    name, _, rest = path.partition(".")
    inner = record.get(name.removesuffix("[]"))
    if not rest:
        record.pop(name, None)
    elif isinstance(inner, list):
        for one in inner:
            dropped(one, rest)
    elif isinstance(inner, dict):
        dropped(inner, rest)


def comparable(record):
    """What both must agree on."""
    record = json.loads(json.dumps(record))
    for path in ONE_SIDED:
        dropped(record, path)
    for change in SOMETIMES.values():
        change(record)
    return record


def session_of(record):
    return tuple(record.get(name) for name in ("src_ip", "src_port", "dest_ip", "dest_port"))


def by_session(records):
    """{session: {event type: [what both must agree on]}}, in the order of the records."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for record in records:
        kind = record["event_type"]
        anomaly = record.get("anomaly", {})
        if anomaly.get("event") in OF_THE_OTHER_LEG:
            continue
        # what is wrong with a capture, or with TCP, the gateway cannot know
        if kind in COMPARED and anomaly.get("type", "applayer") == "applayer":
            found[session_of(record)][kind].append(comparable(record))
    return found


def leaves(value, path=""):
    if isinstance(value, dict):
        for name in value:
            yield from leaves(value[name], f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from leaves(one, f"{path}[{i}]")
    else:
        yield path, value


def differences(gateway, wire):
    """Lines that say where two lists of records are not the same, field by field."""
    said = []
    for i in range(max(len(gateway), len(wire))):
        if i >= len(gateway) or i >= len(wire):
            who, one = ("the gateway", gateway[i]) if i < len(gateway) else ("the wire", wire[i])
            said.append(f"record {i} is of {who} alone: {json.dumps(one)[:1500]}")
            continue
        ours, theirs = dict(leaves(gateway[i])), dict(leaves(wire[i]))
        for path in sorted(ours.keys() | theirs.keys()):
            if ours.get(path) != theirs.get(path):
                said.append(f"record {i}: {path}: gateway {ours.get(path)!r}, wire {theirs.get(path)!r}")
    return said


class Wire:
    """
    A capture of all that a namespace's device sees, from now to stop().

    filter   of tcpdump; the default is everything
    """

    def __init__(self, namespace, path, device="eth0", filter=""):
        self.path, self.log = Path(path), Path(str(path) + ".stderr")
        argv = ["setpriv", "--pdeathsig", "KILL", "--",
                *namespace.command("tcpdump", "-i", device, "-n", "-s", "0", "-B", "65536", "-U",
                                   "--immediate-mode", "-Z", "root", "-w", self.path,
                                   *filter.split())]
        with open(self.log, "wb") as stderr:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=stderr)
        try:
            wait_for(self._listens, 10, "tcpdump")
        except BaseException:
            self.process.kill()
            raise

    def _said(self):
        return self.log.read_text(errors="replace")

    def _listens(self):
        if self.process.poll() is not None:
            raise LabError(f"tcpdump ended: {self._said()}")
        return "listening on" in self._said()

    def stop(self):
        """Ends it once nothing comes any more; a capture that lost packets proves nothing."""
        if self.process.poll() is None:
            sizes = []
            wait_for(lambda: sizes.append(self.path.stat().st_size) or sizes[-3:].count(sizes[-1]) == 3,
                     10, "the end of a capture", 0.05)
            self.process.send_signal(signal.SIGINT)
            self.process.wait(10)
        lost = re.search(r"(\d+) packets? dropped by kernel", self._said())
        if not lost or lost.group(1) != "0":
            raise LabError(f"tcpdump lost packets: {self._said()}")
        return self

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run_read(*argv, binary=READER, namespace=None, expect=0, timeout=120, **options):
    """postern read; gives (records, messages). expect: its exit code."""
    command = [str(binary), "read", *map(str, argv)]
    if namespace:
        command = namespace.command(*command)
    env = {**os.environ, "ASAN_OPTIONS": "exitcode=99", "LSAN_OPTIONS": "exitcode=99",
           "UBSAN_OPTIONS": "print_stacktrace=1"}
    done = subprocess.run(command, capture_output=True, timeout=timeout, env=env, **options)
    said = done.stderr.decode("utf-8", "replace")
    assert not SANITIZER.search(said), said
    assert done.returncode == expect, f"exit code {done.returncode}:\n{said}"
    lines = done.stdout.decode("utf-8").split("\n")  # strict: records are UTF-8
    assert lines.pop() == "", "the last line has no end"
    return [json.loads(line) for line in lines], said


def agree(gate, wire, *options, namespace=None, apart=None, at_least=1):
    """
    Reads the capture with the configuration of the gateway and compares all sessions that the
    gateway had; gives the records of the wire.

    apart      {pattern of a difference ("email: record * size: *"): why only one of both can know}
    at_least   so many sessions with records there must be
    """
    read, said = run_read("-c", gate.file, *options, wire.path, namespace=namespace)
    gateway, there = by_session(gate.records()), by_session(read)
    faults = []
    for session, kinds in gateway.items():
        seen = there.get(session, {})
        for kind in sorted(kinds.keys() | seen.keys()):
            lines = (f"{kind}: {line}" for line in differences(kinds.get(kind, []), seen.get(kind, [])))
            faults += [f"{session} {line}" for line in lines
                       if not any(fnmatch.fnmatch(line, pattern) for pattern in apart or {})]
    assert not faults, f"{wire.path}, {gate.file}:\n{said}" + "\n".join(faults)
    assert len(gateway) >= at_least, f"{len(gateway)} sessions:\n{said}"
    return read


# ---- DNS, as a client asks ahead of what it does ----

A, MX, AAAA = 1, 15, 28


def _question(name, kind, number):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.rstrip(".").split(".") if x)
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def look_up(namespace, resolver, *names, kinds=(MX, A, AAAA), timeout=5):
    """Asks for each of the names, so that answers are on the wire."""
    sock = namespace.udp()
    try:
        sock.settimeout(timeout)
        for number, (name, kind) in enumerate((n, k) for n in names for k in kinds):
            sock.sendto(_question(name, kind, number), (resolver, 53))
            assert sock.recv(4096)[:2] == struct.pack(">H", number)
    finally:
        sock.close()
