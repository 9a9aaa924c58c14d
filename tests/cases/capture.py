"""Captures to TCP streams, as far as the cases need it: pcap and pcapng, IPv4 and IPv6."""

import dataclasses
import ipaddress
import struct

ETHERNET, RAW_IP, LINUX_COOKED, LINUX_COOKED2, NULL_LOOPBACK = 1, 101, 113, 276, 0
FIN, SYN = 0x01, 0x02


class Corrupt(Exception):
    """The file is not what it claims to be."""


@dataclasses.dataclass
class Stream:
    """One TCP connection; turns: (from_client, octets) in the order of the capture."""

    client: str
    server: str
    turns: list

    def octets(self, from_client):
        return b"".join(octets for side, octets in self.turns if side == from_client)


def frames(data):
    """Yields (link type, octets) of each frame."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        yield from frames_ng(data)
        return
    orders = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<"}
    order = orders.get(data[:4])
    if order is None:
        raise Corrupt("no capture")
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack_from(order + "I", data, at + 8)[0]
        if at + 16 + size > len(data):
            raise Corrupt("cut frame")
        yield link, data[at + 16 : at + 16 + size]
        at += 16 + size


def frames_ng(data):
    order, links, at = "<", [], 0
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or at + size > len(data):
            raise Corrupt("cut block")
        if kind == 1:  # interface description
            links.append(struct.unpack_from(order + "H", data, at + 8)[0])
        elif kind == 6:  # enhanced packet
            device, _, _, captured = struct.unpack_from(order + "IIII", data, at + 8)
            yield links[device], data[at + 28 : at + 28 + captured]
        elif kind == 3:  # simple packet
            yield links[0], data[at + 12 : at + size - 4]
        at += size


def network_layer(link, frame):
    """The IP packet in a frame, or nothing."""
    if link == ETHERNET:
        kind, at = struct.unpack_from(">H", frame, 12)[0], 14
        while kind in (0x8100, 0x88A8):
            kind, at = struct.unpack_from(">H", frame, at + 2)[0], at + 4
        return frame[at:] if kind in (0x0800, 0x86DD) else b""
    if link in (RAW_IP, 12, 228, 229):
        return frame
    if link == LINUX_COOKED:
        return frame[16:]
    if link == LINUX_COOKED2:
        return frame[20:]
    if link == NULL_LOOPBACK:
        return frame[4:]
    raise Corrupt(f"link type {link}")


def segment(packet):
    """(source, destination, sequence number, flags, payload) of a TCP packet, or None."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        at, end, proto = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)[0], packet[9]
        if struct.unpack_from(">H", packet, 6)[0] & 0x1FFF:
            return None
        source, dest = packet[12:16], packet[16:20]
    else:
        at, end, proto = 40, 40 + struct.unpack_from(">H", packet, 4)[0], packet[6]
        source, dest = packet[8:24], packet[24:40]
    if proto != 6 or len(packet) < at + 20:
        return None
    if end <= at:  # segmentation offload leaves the length empty
        end = len(packet)
    sport, dport, seq = struct.unpack_from(">HHI", packet, at)
    payload = packet[at + (packet[at + 12] >> 4) * 4 : end]
    ends = [f"{ipaddress.ip_address(a)}:{p}" for a, p in ((source, sport), (dest, dport))]
    return *ends, seq, packet[at + 13], payload


class Half:
    """One direction: puts segments in order, drops what was sent twice."""

    def __init__(self):
        self.next = None
        self.early = {}

    def take(self, seq, flags, payload):
        if self.next is None or flags & SYN:
            self.next = (seq + (1 if flags & SYN else 0)) & 0xFFFFFFFF
            self.early = {}
            seq = self.next
        if payload:
            self.early[seq] = max(self.early.get(seq, b""), payload, key=len)
        out = b""
        while True:
            ready = [s for s in self.early if (self.next - s) & 0xFFFFFFFF < 1 << 31]
            if not ready:
                return out
            first = min(ready)
            octets = self.early.pop(first)[(self.next - first) & 0xFFFFFFFF :]
            out += octets
            self.next = (self.next + len(octets)) & 0xFFFFFFFF


def streams(path, ports):
    """The TCP connections of a capture to one of those ports, in order of their first segment."""
    found, halves = {}, {}
    for link, frame in frames(path.read_bytes()):
        parts = segment(network_layer(link, frame))
        if parts is None:
            continue
        source, dest, seq, flags, payload = parts
        to_server = int(dest.rsplit(":", 1)[1]) in ports
        if not to_server and int(source.rsplit(":", 1)[1]) not in ports:
            continue
        key = (source, dest) if to_server else (dest, source)
        stream = found.setdefault(key, Stream(*key, []))
        half = halves.setdefault((*key, to_server), Half())
        octets = half.take(seq, flags, payload)
        if octets:
            stream.turns.append((to_server, octets))
    return list(found.values())
