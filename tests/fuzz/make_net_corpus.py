#!/usr/bin/python3
"""Writes the inputs of fuzz_frame, fuzz_packet and fuzz_connections to tests/fuzz/corpus."""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
MACS = bytes.fromhex("020000000001020000000002")
LINKS = ["ethernet", "raw", "null", "loop", "cooked", "cooked-2", "ppp", "pppoe"]

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MORE = 0x2000


def write(folder, name, octets):
    (CORPUS / folder).mkdir(parents=True, exist_ok=True)
    (CORPUS / folder / name).write_bytes(octets)


def v4(protocol, payload, ident=1, fragment=0, options=b""):
    words = 5 + len(options) // 4
    return struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + len(payload), ident, fragment, 64,
                       protocol, 0) + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + options + payload


def v6(protocol, payload):
    ends = bytes.fromhex("20010db8") + bytes(11)
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + ends + b"\1" + ends + b"\2" + payload


def v6_fragment(protocol, payload, offset, more, ident=1):
    return v6(44, struct.pack(">BBHI", protocol, 0, offset | more, ident) + payload)


def frames():
    four, six = v4(6, tcp(SYN, 0, 0)), v6(6, tcp(SYN, 0, 0))
    yield "ethernet", {
        "v4": MACS + b"\x08\0" + four,
        "v6": MACS + b"\x86\xdd" + six,
        "tag": MACS + b"\x81\0\0\1\x08\0" + four,
        "two-tags": MACS + b"\x88\xa8\0\1\x81\0\0\2\x86\xdd" + six,
        "snap": MACS + b"\0\x40\xaa\xaa\3\0\0\0\x08\0" + four,
        "llc": MACS + b"\0\x40\6\6\3" + four,
        "mpls": MACS + b"\x88\x47\0\1\0\x40\0\2\1\x40" + four,
        "pppoe": MACS + b"\x88\x64\x11\0\0\1\0\x2a\0\x21" + four,
        "arp": MACS + b"\x08\6" + bytes(28),
    }
    yield "raw", {"v4": four, "v6": six}
    yield "null", {"little": b"\2\0\0\0" + four, "big": b"\0\0\0\x1e" + six}
    yield "loop", {"v6": b"\0\0\0\x18" + six}
    yield "cooked", {"v4": bytes.fromhex("00000001000602000000000100000800") + four}
    yield "cooked-2", {"v6": bytes.fromhex("86dd000000000002000100060200000000010000") + six}
    yield "ppp", {"v4": b"\xff\3\0\x21" + four, "short": b"\x57" + six, "cisco": b"\x0f\0\x08\0" + four}
    yield "pppoe", {"v4": b"\x11\0\0\1\0\x2a\0\x21" + four}


def tcp(flags, seq, ack, octets=b"", options=b"", window=65535):
    words = 5 + len(options) // 4
    return struct.pack(">HHIIBBHHH", 0, 0, seq & 0xffffffff, ack & 0xffffffff, words << 4, flags, window, 0,
                       0) + options + octets


def packets(*several, seconds=0):
    return b"".join(struct.pack(">HB", len(p), seconds) + p for p in several)


def write_packets():
    text = b"0123456789abcdefghijklmn"
    gre = b"\0\0\x08\0" + v4(6, b"abc")
    write("packet", "v4", packets(v4(6, b"abc")))
    write("packet", "options", packets(v4(6, b"abc", options=b"\1\1\1\0")))
    write("packet", "v6", packets(v6(6, b"abc")))
    write("packet", "extensions", packets(v6(0, b"\x3c\0" + bytes(6) + b"\x33\0" + bytes(6) + b"\6\1" +
                                             bytes(10) + b"abc")))
    parts = [v4(6, text[:8], fragment=MORE), v4(6, text[8:16], fragment=MORE | 1), v4(6, text[16:], fragment=2)]
    write("packet", "fragments", packets(*parts))
    write("packet", "fragments-back", packets(*parts[::-1]))
    write("packet", "fragments-late", packets(*parts, seconds=20))
    write("packet", "conflict", packets(parts[0], v4(6, b"X" * 16, fragment=MORE), *parts[1:]))
    six = [v6_fragment(6, text[:8], 0, 1), v6_fragment(6, text[8:16], 8, 1), v6_fragment(6, text[16:], 16, 0)]
    write("packet", "fragments-v6", packets(*six[::-1]))
    write("packet", "overlap-v6", packets(six[0], v6_fragment(6, text[:16], 0, 1), *six[1:]))
    write("packet", "4in4", packets(v4(4, v4(6, b"abc"))))
    write("packet", "6in4", packets(v4(41, v6(6, b"abc"))))
    write("packet", "gre", packets(v4(47, gre)))
    write("packet", "gre-ethernet", packets(v6(47, b"\x10\0\x65\x58" + bytes(4) + MACS + b"\x08\0" + v4(6, b"abc"))))
    inner = v4(4, v4(6, text))
    write("packet", "fragments-of-a-tunnel", packets(v4(4, inner[:32], fragment=MORE), v4(4, inner[32:], fragment=4)))


class Talk:
    """Segments between a client and a server; numbers count from each side's first octet."""

    def __init__(self, isn=(0xfffffff0, 7000)):
        self.isn, self.octets = isn, bytearray()

    def say(self, server, flags, seq, ack=0, octets=b"", client=0, seconds=0, missing=0, options=b"", window=65535):
        segment = tcp(flags, self.isn[server] + 1 + seq, self.isn[1 - server] + 1 + ack if flags & ACK else 0,
                      octets, options, window)
        self.octets += struct.pack(">BBH", server | client << 1 | missing << 3, seconds, len(segment)) + segment
        return self

    def shake(self, client=0):
        self.say(0, SYN, -1, client=client, options=b"\1\3\3\7")
        self.say(1, SYN | ACK, -1, client=client, options=b"\1\3\3\2")
        return self.say(0, ACK, 0, client=client)

    def write(self, name, options=1):
        write("connections", name, bytes([options]) + bytes(self.octets))


def write_connections():
    talk = Talk().shake().say(1, ACK | PSH, 0, 0, b"220 ready\r\n").say(0, ACK | PSH, 0, 11, b"QUIT\r\n")
    talk.say(0, ACK | FIN, 6, 11).say(1, ACK | FIN, 11, 7, b"221\r\n").say(0, ACK, 7, 17).write("in-order")
    Talk().shake().say(0, ACK, 6, 0, b"ghi").say(0, ACK, 3, 0, b"def").say(0, ACK, 0, 0, b"abc").write("shuffled")
    Talk().shake().say(0, ACK, 0, 0, b"abcdef").say(0, ACK, 3, 0, b"dXfghi").write("conflict")
    Talk().shake().say(0, ACK, 4, 0, b"ef").say(0, ACK, 8, 0, b"ij").say(0, ACK, 3, 0, b"dEfghIjk").say(
        0, ACK, 0, 0, b"abcDe").write("conflict-waiting")
    Talk().shake().say(0, ACK, 3, 0, b"def").say(1, ACK, 0, 6, b"250").write("gap")
    Talk().shake().say(0, ACK, 0, 0, b"abc", missing=5).say(0, ACK, 8, 0, b"ij", missing=31).write("cut")
    Talk().say(1, ACK, 100, 50, b"250 ok").say(0, ACK, 53, 106, b"QUIT").say(0, ACK, 50, 106, b"abc").write("joined")
    Talk().say(0, SYN, -1).say(0, ACK, 0, 20, b"EHLO").say(0, ACK | FIN, 4, 40).write("one-sided")
    Talk().shake().say(0, ACK, 0, 0, b"abc").say(0, RST, 3).say(0, ACK, 3, 0, b"def").write("reset")
    Talk().shake().say(0, RST, 100000).say(0, ACK | URG, 0, 0, b"abc").say(0, ACK, 1000000, 0, b"x").write("strays")
    Talk().say(0, SYN, -1, octets=b"EHLO").say(1, SYN | ACK, -1, 0).say(0, ACK, 0, 0, b"HELO").write("syn-data")
    talk = Talk().shake().say(0, FIN | ACK, 0, 0, b"one").say(1, FIN | ACK, 0, 4)
    talk.isn = (500000, 800000)
    talk.shake().say(0, ACK, 0, 0, b"two", seconds=61)
    talk.isn = (900000, 100000)
    talk.shake().write("ports-again")
    talk = Talk()
    for client in range(4):
        talk.shake(client).say(0, ACK, 9, 0, b"later", client=client, seconds=255)
    talk.write("four-clients", 0)
    Talk().shake().write("checksums", 2)


def main():
    for link, named in frames():
        for name, octets in named.items():
            write("frame", f"{link}-{name}", bytes([LINKS.index(link)]) + octets)
    write_packets()
    write_connections()


if __name__ == "__main__":
    main()
