#!/usr/bin/python3
"""Writes the inputs of fuzz_capture to tests/fuzz/corpus: small captures of tests/captures' generator."""

import pathlib
import random
import sys

from make_corpus import write

sys.path.append(str(pathlib.Path(__file__).parents[1] / "captures"))

import packets as P  # noqa: E402
import shuffle  # noqa: E402
import talks  # noqa: E402

TEXT = talks.message(body=b"QUJD\r\n")
FILE = b"0123456789" * 10


def each(hosts=talks.V4, **options):
    return {
        "smtp": talks.mail(hosts, text=TEXT, **options),
        "pop3": talks.pop3(hosts, text=TEXT, **options),
        "imap": talks.imap(hosts, text=TEXT, **options),
        "ftp": talks.ftp(hosts, content=FILE, **options),
    }


def packets_of(talk):
    return [packet for _, packet in talk.packets]


def captures():
    for name, talk in each().items():
        yield name, P.pcap(P.frames_of(talk))
        yield name + "-ng", P.pcapng(P.frames_of(talk))
    for name, talk in each(talks.V6, mss=60, acks=False).items():
        yield name + "-small", P.pcap(packets_of(talk), link=101)
    for name, talk in each(open_=False).items():
        yield name + "-joined", P.pcap(packets_of(talk)[3:], link=101)
    for way in ("PASV", "PORT", "EPRT"):
        yield "ftp-" + way.lower(), P.pcap(packets_of(talks.ftp(way=way, upload=way != "PASV", content=FILE)), link=101)
    for link, (number, wrap) in P.LINKS.items():
        yield "link-" + link.replace(" ", "-"), P.pcap([wrap(p) for p in packets_of(each(acks=False)["smtp"])], number)
    together = [p for talk in each(acks=False).values() for p in packets_of(talk)]
    for kind in (shuffle.HARMLESS, shuffle.HARMFUL):
        for name, change in kind.items():
            yield name.replace(" ", "-"), P.pcap(change(together, random.Random(name)), link=101)
    yield "fragments", P.pcap([f for p in together for f in P.fragments4(p)], link=101)
    yield "cut", P.pcap(together, link=101)[:-7]
    yield "damaged", P.pcap(together[:9], link=101) + b"\xff" * 16
    yield "server-alone", P.pcap([p for far, p in each()["smtp"].packets if not far], link=101)
    yield "client-alone", P.pcap([p for far, p in each()["ftp"].packets if far], link=101)
    refused = talks.talk(talks.V4, 40009, 25).s(b"220 x\r\n").c(b"MAIL FROM:<a@b.example>\r\n").s(b"250 ok\r\n")
    refused.c(b"RCPT TO:<c@far.example>\r\n").s(b"250 ok\r\n").c(b"STARTTLS\r\n").s(b"220 go\r\n")
    yield "refused", P.pcap(packets_of(refused.c(b"\x16\x03\x01\0\x05\1\0\0\1\0").end()), link=101)


if __name__ == "__main__":
    write("capture", dict(captures()))
