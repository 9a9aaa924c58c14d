"""
Captures made by hand, octet by octet: packets of TCP sessions in every link layer that is understood, and
files in both formats, good and bad ones. From the specifications, without libpcap.
"""

import functools
import ipaddress
import struct

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
SEQ_MASK = 0xFFFFFFFF


def checksum(octets):
    """RFC 1071; a number modulo 65535 is its ones' complement sum."""
    if len(octets) % 2:
        octets += b"\0"
    rest = int.from_bytes(octets, "big") % 0xFFFF
    if rest == 0 and any(octets):
        rest = 0xFFFF
    return ~rest & 0xFFFF


@functools.lru_cache(maxsize=1000)
def packed(address):
    return ipaddress.ip_address(address).packed


def tcp(source, destination, sport, dport, seq, ack, flags, payload=b"", window=65535, options=b"", urgent=0):
    """A segment with its checksum."""
    head = struct.pack(">HHIIBBHHH", sport, dport, seq & SEQ_MASK, ack & SEQ_MASK,
                       (5 + len(options) // 4) << 4, flags, window, 0, urgent) + options
    pseudo = packed(source) + packed(destination) + struct.pack(">IHBB", len(head) + len(payload), 0, 0, 6)
    total = checksum(pseudo + head + payload)
    return head[:16] + struct.pack(">H", total) + head[18:] + payload


def ipv4(source, destination, payload, protocol=6, ident=1, offset=0, more=False, ttl=64, options=b""):
    head = struct.pack(">BBHHHBBH", 0x40 | (5 + len(options) // 4), 0, 20 + len(options) + len(payload), ident,
                       (0x2000 if more else 0) | offset // 8, ttl, protocol, 0) \
        + packed(source) + packed(destination) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(source, destination, payload, next_header=6, extensions=(), hops=64):
    """extensions: (number, octets without their first two) of headers ahead of the payload."""
    body, number = payload, next_header
    for kind, octets in reversed(extensions):
        body = bytes([number, (len(octets) + 2) // 8 - 1]) + octets + body
        number = kind
    return struct.pack(">IHBB", 6 << 28, len(body), number, hops) + packed(source) + packed(destination) + body


def ip(source, destination, payload, **options):
    return (ipv6 if ":" in source else ipv4)(source, destination, payload, **options)


def fragments4(packet, size=64, ident=77):
    """An IPv4 packet without options in fragments of size octets."""
    source, destination = (str(ipaddress.ip_address(packet[at:at + 4])) for at in (12, 16))
    payload = packet[20:]
    return [ipv4(source, destination, payload[at:at + size], ident=ident, offset=at, more=at + size < len(payload))
            for at in range(0, len(payload), size)]


def fragments6(packet, size=64, ident=77):
    """An IPv6 packet without extension headers in fragments (RFC 8200 s4.5)."""
    source, destination = (str(ipaddress.ip_address(packet[at:at + 16])) for at in (8, 24))
    payload = packet[40:]
    found = []
    for at in range(0, len(payload), size):
        more = at + size < len(payload)
        header = struct.pack(">BBHI", packet[6], 0, at | more, ident)
        found.append(ipv6(source, destination, header + payload[at:at + size], next_header=44))
    return found


class Talk:
    """One TCP connection; packets has its IP packets in order, as (from the client?, octets)."""

    def __init__(self, client=("198.51.100.2", 40000), server=("192.0.2.25", 25), mss=1400, isn=(1000, 5000),
                 open_=True, acks=True):
        self.ends, self.mss = {True: client, False: server}, mss
        self.seq = {True: isn[0], False: isn[1]}
        self.packets, self.acks = [], acks  # acks: each segment has its acknowledgement
        if open_:
            self.segment(True, SYN)
            self.segment(False, SYN | ACK)
            self.segment(True, ACK)

    def made(self, from_client, flags, payload=b"", seq=None, **options):
        """One packet, which is not put anywhere."""
        (source, sport), (destination, dport) = self.ends[from_client], self.ends[not from_client]
        ack = self.seq[not from_client] if flags & ACK else 0
        return ip(source, destination, tcp(source, destination, sport, dport,
                                           self.seq[from_client] if seq is None else seq, ack, flags, payload,
                                           **options))

    def segment(self, from_client, flags, payload=b"", **options):
        self.packets.append((from_client, self.made(from_client, flags, payload, **options)))
        self.seq[from_client] += len(payload) + bool(flags & SYN) + bool(flags & FIN)
        return self

    def say(self, from_client, octets):
        for at in range(0, len(octets), self.mss):
            self.segment(from_client, PSH | ACK, octets[at:at + self.mss])
            if self.acks:
                self.segment(not from_client, ACK)
        return self

    def c(self, octets):
        return self.say(True, octets)

    def s(self, octets):
        return self.say(False, octets)

    def skip(self, from_client, n):
        """Octets that were said and are not in the capture."""
        self.seq[from_client] += n
        return self

    def end(self):
        self.segment(True, FIN | ACK)
        self.segment(False, FIN | ACK)
        return self.segment(True, ACK)

    def reset(self, from_client=True):
        return self.segment(from_client, RST | ACK)


# ---- link layers: number in a file, and a frame of a packet ----


def ethertype(packet):
    return 0x86DD if packet[0] >> 4 == 6 else 0x0800


MACS = bytes.fromhex("020000000001020000000002")


def ethernet(packet, tags=(), kind=None):
    head = MACS + b"".join(struct.pack(">HH", tpid, vid) for tpid, vid in tags)
    return head + struct.pack(">H", kind or ethertype(packet)) + packet


def mpls(packet, labels=(100,)):
    stack = b"".join(struct.pack(">I", label << 12 | (i == len(labels) - 1) << 8 | 64)
                     for i, label in enumerate(labels))
    return ethernet(stack + packet, kind=0x8847)


def pppoe(packet):
    inner = struct.pack(">H", 0x0057 if packet[0] >> 4 == 6 else 0x0021) + packet
    return ethernet(struct.pack(">BBHH", 0x11, 0, 7, len(inner)) + inner, kind=0x8864)


def snap(packet):
    inner = b"\xaa\xaa\x03\0\0\0" + struct.pack(">H", ethertype(packet)) + packet
    return MACS + struct.pack(">H", len(inner)) + inner


LINKS = {
    "ethernet": (1, ethernet),
    "padded": (1, lambda p: ethernet(p).ljust(80, b"\0")),
    "vlan": (1, lambda p: ethernet(p, [(0x8100, 5)])),
    "qinq": (1, lambda p: ethernet(p, [(0x88A8, 5), (0x8100, 6)])),
    "old qinq": (1, lambda p: ethernet(p, [(0x9100, 5), (0x8100, 6), (0x8100, 7)])),
    "802.3 with SNAP": (1, snap),
    "mpls": (1, mpls),
    "mpls stack": (1, lambda p: mpls(p, (100, 200, 300))),
    "pppoe": (1, pppoe),
    "pppoe in a vlan": (1, lambda p: MACS + struct.pack(">HH", 0x8100, 9) + pppoe(p)[12:]),
    "ppp": (9, lambda p: b"\xff\x03" + struct.pack(">H", 0x0057 if p[0] >> 4 == 6 else 0x0021) + p),
    "raw": (101, lambda p: p),
    "null": (0, lambda p: struct.pack("<I", 24 if p[0] >> 4 == 6 else 2) + p),
    "null of another order": (0, lambda p: struct.pack(">I", 30 if p[0] >> 4 == 6 else 2) + p),
    "loop": (108, lambda p: struct.pack(">I", 24 if p[0] >> 4 == 6 else 2) + p),
    "cooked": (113, lambda p: struct.pack(">HHH8sH", 0, 1, 6, MACS[:6] + b"\0\0", ethertype(p)) + p),
    "cooked v2": (276, lambda p: struct.pack(">HHIHBB8s", ethertype(p), 0, 2, 1, 0, 6, MACS[:6] + b"\0\0") + p),
}


# ---- files ----

BEGAN = 1_700_000_000 * 1_000_000  # microseconds


def pcap_header(link=1, order="<", nano=False, snaplen=262144, magic=None):
    if magic is None:
        magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)


def pcap_record(frame, at, order="<", nano=False, captured=None, length=None):
    part = at % 1_000_000 * (1000 if nano else 1)
    n = len(frame) if captured is None else captured
    return struct.pack(order + "IIII", at // 1_000_000, part, n, len(frame) if length is None else length) + frame


def pcap(frames, link=1, order="<", nano=False, snaplen=262144, step=1000, began=BEGAN):
    """frames: octets, one each step microseconds."""
    return pcap_header(link, order, nano, snaplen) + b"".join(
        pcap_record(frame, began + i * step, order, nano) for i, frame in enumerate(frames))


def block(kind, body, order="<", length=None):
    body += bytes(-len(body) % 4)
    n = len(body) + 12 if length is None else length
    return struct.pack(order + "II", kind, n) + body + struct.pack(order + "I", n)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link, order="<", resolution=None, snaplen=0):
    """resolution: of if_tsresol, a power of ten."""
    options = struct.pack(order + "HHB3x", 9, 1, resolution) + bytes(4) if resolution is not None else b""
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(frame, at, device=0, order="<", per_second=1_000_000, captured=None):
    ticks = at * per_second // 1_000_000
    n = len(frame) if captured is None else captured
    return block(6, struct.pack(order + "IIIII", device, ticks >> 32, ticks & SEQ_MASK, n, len(frame)) + frame, order)


def pcapng(frames, links=(1,), order="<", step=1000, resolution=None):
    """frames: octets, or (number of the interface, octets)."""
    per_second = 10 ** (6 if resolution is None else resolution)
    rows = [frame if isinstance(frame, tuple) else (0, frame) for frame in frames]
    return section(order) + b"".join(interface(link, order, resolution) for link in links) + b"".join(
        enhanced(frame, BEGAN + i * step, device, order, per_second) for i, (device, frame) in enumerate(rows))


def frames_of(talk, link="ethernet"):
    return [LINKS[link][1](packet) for _, packet in talk.packets]
