"""Messages as they are on the wire (CR LF), of every shape: made here, the same in every run."""

import base64
import random
import struct
import zlib
from email.message import EmailMessage
from email.policy import SMTP

HEADER = b"From: anna@good.example\r\nTo: otto@campus.example\r\nSubject: %s\r\n"
PROGRAM = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0" + bytes(48) + b"This program cannot be run in DOS mode.\r\n"


def octets(n, seed=1):
    return random.Random(seed).randbytes(n)


def plain(subject="plain", body=b"hello\r\n"):
    return HEADER % subject.encode() + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body


def with_file(subject="file", name="prices.csv", kind="text/csv", payload=b"apples,3\n"):
    """Two parts: a text, and a file in base64."""
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = "anna@good.example", "otto@campus.example", subject
    message.set_content("see the file\n")
    main, sub = kind.split("/")
    message.add_attachment(payload, maintype=main, subtype=sub, filename=name)
    message.set_boundary("=-" + subject)
    return message.as_bytes()


def program(subject="program"):
    """What the content policy refuses: a program that is called a document."""
    return with_file(subject, "invoice.pdf", "application/pdf", PROGRAM)


def rar(name=b"inside.txt", content=b"stored\n"):
    """A RAR archive of version 4 with one member, stored, that has a date."""
    def block(kind, flags, rest):
        head = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head

    member = struct.pack("<IIBIIBBHI", len(content), len(content), 2, zlib.crc32(content), 0x5A21_6B20, 20, 0x30,
                         len(name), 0x20)
    return b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000, member + name) + content


def nested(subject="nested"):
    """A message within a message, alternatives, a picture that belongs to them: paths of depth 3."""
    inner = EmailMessage(SMTP)
    inner["From"], inner["Subject"] = "bert@good.example", "inner"
    inner.set_content("inner text\n")
    inner.add_alternative("<p>inner</p>\n", subtype="html")
    inner.set_boundary("=-inner")
    outer = EmailMessage(SMTP)
    outer["From"], outer["Subject"] = "anna@good.example", subject
    outer.set_content("outer text\n")
    outer.add_alternative("<p>outer</p>\n", subtype="html")
    outer.make_mixed()
    outer.add_attachment(octets(3000), maintype="image", subtype="png", filename="picture.png")
    outer.add_attachment(inner)
    outer.set_boundary("=-outer")
    outer.get_payload(0).set_boundary("=-alternatives")
    return outer.as_bytes()


def large(n, subject="large"):
    """About n octets, most of them one file."""
    payload = base64.encodebytes(octets(n * 3 // 4)).replace(b"\n", b"\r\n")
    return (HEADER % subject.encode() + b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream; "
            b"name=large.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n" + payload)


DOTS = b".\r\n..\r\n...\r\n.hidden\r\n. \r\n\r\n.\r\n"

# What every client and every server takes, and gives again.
TAME = [
    plain(),
    plain("empty", b""),
    plain("dots", DOTS),
    plain("eight bits", "Gr\u00fc\u00dfe, \u65e5\u672c\r\n".encode()),
    plain("latin", b"Gr\xfc\xdfe\r\n"),
    plain("long line", b"x" * 998 + b"\r\n"),
    plain("like replies", b"+OK 3\r\n-ERR no\r\n* 1 FETCH (BODY[] {5}\r\na OK done\r\n)\r\n+ go on\r\n"),
    with_file(),
    nested(),
    with_file("archive", "papers.rar", "application/x-rar", rar()),
    large(60_000, "middle"),
]

# What a server may hold, and what a gateway must carry as it is.
WILD = [
    *TAME,
    b"",
    b"\r\n",
    b"Subject: header only\r\n",
    b"no header at all",
    plain("no final line end", b"hello"),
    plain("ends in a dot", b"hello\r\n."),
    plain("ends in CR", b"hello\r"),
    plain("CR alone", b"one\rtwo\r\r\nthree\r\n.\r.\r\n"),
    plain("very long line", b"y" * 100_000 + b"\r\n"),
    plain("only dots", b".\r\n" * 5000),
    large(5_000_000),
]
