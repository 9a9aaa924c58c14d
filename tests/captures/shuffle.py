"""
A capture's packets in another order, twice, in other segments, or not at all: what networks and lossy
captures do. Works on IP packets, without a link layer.
"""

import collections
import ipaddress
import json
import struct

from packets import tcp, ip

SYN, FIN, RST = 2, 1, 4


class Segment:
    """What a packet is to TCP; None as .connection: it is no segment that can be taken apart."""

    def __init__(self, packet):
        self.packet, self.connection, self.payload, self.flags = packet, None, b"", 0
        if len(packet) < 40:
            return
        v6 = packet[0] >> 4 == 6
        at = 40 if v6 else (packet[0] & 15) * 4
        if packet[6 if v6 else 9] != 6 or (not v6 and struct.unpack(">H", packet[6:8])[0] & 0x3FFF):
            return
        if len(packet) < at + 20:
            return
        total = struct.unpack(">H", packet[4:6])[0] + 40 if v6 else struct.unpack(">H", packet[2:4])[0] or len(packet)
        a, b = (packet[8:24], packet[24:40]) if v6 else (packet[12:16], packet[16:20])
        self.source, self.destination = (str(ipaddress.ip_address(x)) for x in (a, b))
        self.sport, self.dport, self.seq, self.ack, offset, self.flags = struct.unpack(">HHIIBB", packet[at:at + 14])
        begin = at + (offset >> 4) * 4
        if not at + 20 <= begin <= total <= len(packet):  # cut, or more there than it says
            return
        self.payload = packet[begin:total]
        self.hops = packet[7 if v6 else 8]
        self.way = (self.source, self.sport, self.destination, self.dport)
        self.connection = tuple(sorted([(self.source, self.sport), (self.destination, self.dport)]))

    @property
    def plain(self):
        """Octets and nothing else: what can be cut anew."""
        return self.connection is not None and self.payload and not self.flags & (SYN | FIN | RST | 32)

    def part(self, begin, end):
        """The octets from begin to end as a packet of their own."""
        return ip(self.source, self.destination,
                  tcp(self.source, self.destination, self.sport, self.dport, self.seq + begin, self.ack, self.flags,
                      self.payload[begin:end]), **{"hops" if ":" in self.source else "ttl": self.hops})


def runs(packets):
    """Maximal runs of packets with octets of one direction of one connection; others are alone."""
    found = []
    for one in map(Segment, packets):
        if found and one.plain and found[-1][-1].plain and found[-1][-1].way == one.way:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def shuffled_runs(packets, random):
    """Other orders within runs: nothing that a receiver could not put in order again."""
    out = []
    for run in runs(packets):
        random.shuffle(run)
        out += [one.packet for one in run]
    return out


def duplicated(packets, random):
    """Every packet with octets twice, at once or up to five packets later."""
    rows = []
    for i, packet in enumerate(packets):
        rows.append((i, packet))
        if Segment(packet).plain:
            rows.append((i + random.choice((0.5, 1.5, 5.5)), packet))
    return [packet for _, packet in sorted(rows, key=lambda row: row[0])]


def recut(packets, random, overlap=False):
    """Octets in other segments: pieces of 1 to 700; overlap: each with some of those before it once more."""
    out = []
    for packet in packets:
        one = Segment(packet)
        if not one.plain:
            out.append(packet)
            continue
        at = 0
        while at < len(one.payload):
            end = min(len(one.payload), at + random.randint(1, 700))
            begin = max(0, at - random.randint(0, 300)) if overlap else at
            out.append(one.part(begin, end))
            at = end
    return out


def shuffled(packets, random, window=6):
    """Any packet up to window places from its own, whatever that breaks."""
    return [p for _, p in sorted(((i + random.uniform(0, window), p) for i, p in enumerate(packets)), key=lambda r: r[0])]


def dropped(packets, random, share=0.02):
    """Without some of the packets with octets."""
    return [p for p in packets if not (Segment(p).plain and random.random() < share)]


HARMLESS = {
    "runs shuffled": shuffled_runs,
    "duplicated": duplicated,
    "recut": recut,
    "overlapping": lambda packets, random: recut(packets, random, True),
    "all at once": lambda packets, random: duplicated(shuffled_runs(recut(packets, random, True), random), random),
}
HARMFUL = {
    "shuffled": shuffled,
    "dropped": dropped,
    "a third dropped": lambda packets, random: dropped(packets, random, 0.33),
    "shuffled and dropped": lambda packets, random: dropped(shuffled(packets, random), random),
}

OF_TIME = {"timestamp", "flow_id", "start", "end", "age", "duration_ms", "rate", "idle_ms", "packet"}


def timeless(value):
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in OF_TIME}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def facts(records):
    """What must be the same: records by session and kind, without times, in their order."""
    found = collections.defaultdict(list)
    for r in records:
        found[str((r.get("src_ip"), r.get("src_port"), r.get("dest_ip"), r.get("dest_port"), r["event_type"]))].append(
            json.dumps(timeless(r), sort_keys=True))
    return dict(found)


def whole_files(records):
    """SHA-256 of every file and part that a record claims to be whole."""
    found = set()
    for r in records:
        info = r.get("fileinfo")
        if info and info["state"] == "CLOSED" and not info["gaps"]:
            found.add(info.get("sha256"))
        if r.get("email", {}).get("status") == "PARSE_DONE" and not r.get("message", {}).get("partial"):
            found |= {p.get("sha256") for p in r["email"].get("parts", []) if p.get("sha256")}
    return found


def breaks(records):
    """Gaps and the like that the records name."""
    return [r["anomaly"]["event"] for r in records if r["event_type"] == "anomaly"
            and r["anomaly"]["type"] in ("stream", "decode")] + \
        [r["ftp_data"]["reason"] for r in records if r["event_type"] == "ftp_data" and "reason" in r["ftp_data"]]
