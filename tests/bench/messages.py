"""
Messages for the readers of MIME, the same in every run: a large one with an attachment in base64, one in
quoted-printable, and many small ones of all kinds. What is in them is counted while they are made.
"""

import base64
import binascii
import hashlib
import random

WORDS = ("the quick report about our apples was sent to everybody who had asked for it on the day before the "
         "meeting and nobody has answered yet so please look at the numbers below").split()
FOREIGN = ("der schöne Bericht über unsere Äpfel wurde an alle verschickt die vor der Prüfung danach gefragt hätten "
           "même si personne n'a répondu à la première réunion où l'été était déjà passé").split()
FILES = (("report.pdf", "application/pdf", b"%PDF-1.4\n"), ("picture.png", "image/png", b"\x89PNG\r\n\x1a\n"),
         ("data.bin", "application/octet-stream", b""))


class Found:
    """What a reader must find: leaves, their decoded octets, and of their digests the first eight octets added up."""

    def __init__(self):
        self.leaves = self.octets = self.digests = 0

    def add(self, leaf):
        self.leaves += 1
        self.octets += len(leaf)
        self.digests += int.from_bytes(hashlib.sha256(leaf).digest()[:8], "big")

    def times(self, n):
        """As a program prints it that has read them so many times."""
        return self.leaves * n, self.octets * n, self.digests * n % (1 << 64)


def crlf(octets):
    return octets.replace(b"\n", b"\r\n")


def in_base64(octets):
    return crlf(base64.encodebytes(octets).rstrip(b"\n"))


def encoded(text, letter):
    """An encoded word."""
    octets = text.encode()
    if letter == "B":
        return f"=?utf-8?B?{base64.b64encode(octets).decode()}?="
    return "=?utf-8?Q?" + "".join(chr(c) if chr(c).isalnum() and c < 128 else f"={c:02X}" for c in octets) + "?="


class Writer:
    """Every part is its header and its body, without the line end in front of a boundary."""

    def __init__(self, seed):
        self.draw, self.found = random.Random(seed), Found()

    def words(self, n, words):
        lines, size = [], 0
        while size < n:
            lines.append(" ".join(self.draw.choices(words, k=11)))
            size += len(lines[-1]) + 2
        return "\r\n".join(lines)

    def leaf(self, fields, body, octets):
        self.found.add(octets)
        return fields.encode() + b"\r\n\r\n" + body

    def multipart(self, kind, *parts):
        boundary = f"=-{self.draw.getrandbits(64):x}"
        head = f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode()
        begin, end = f"--{boundary}\r\n".encode(), f"--{boundary}--\r\n".encode()
        return head + b"".join(begin + part + b"\r\n" for part in parts) + end

    def plain(self, n):
        text = self.words(n, WORDS).encode()
        return self.leaf("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit", text, text)

    def quoted(self, n, kind="plain"):
        text = self.words(n, FOREIGN)
        if kind == "html":
            text = f'<html><body><p>{text}</p><a href="https://www.good.example/{n}">=)</a></body></html>'
        octets = text.encode()
        return self.leaf(f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable",
                         binascii.b2a_qp(octets, istext=True), octets)

    def file(self, n):
        name, kind, magic = self.draw.choice(FILES)
        octets = magic + self.draw.randbytes(n)
        return self.leaf(f'Content-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
                         f'Content-Disposition: attachment; filename="{name}"', in_base64(octets), octets)

    def alternative(self, n):
        return self.multipart("alternative", self.plain(n // 2), self.quoted(n // 2, "html"))

    # ---- messages ----

    def head(self, foreign=False):
        draw = self.draw
        host, number = f"mx{draw.randrange(40)}.good.example", f"{draw.getrandbits(64):x}"
        name, subject = ("Anna Miller", f"Report {number}")
        if foreign:
            name, subject = encoded("Änna Müller", draw.choice("BQ")), "\r\n ".join(
                encoded(word, draw.choice("BQ")) for word in draw.choices(FOREIGN, k=5))
        received = "".join(f"Received: from {host} ({host} [192.0.2.{draw.randrange(256)}])\r\n\tby mx.campus.example with "
                           f"ESMTPS id {draw.getrandbits(40):x};\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n"
                           for _ in range(draw.randint(1, 4)))
        signed = base64.b64encode(draw.randbytes(128)).decode()
        return (f"{received}DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=good.example; s=s1;\r\n"
                f"\th=from:to:subject:date; b={signed[:60]}\r\n\t {signed[60:120]}\r\n\t {signed[120:]}\r\n"
                f"From: {name} <anna@good.example>\r\nTo: otto@campus.example, Emma <emma@campus.example>\r\n"
                f"Subject: {subject}\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <{number}@good.example>\r\n"
                "MIME-Version: 1.0\r\n").encode()

    def small(self, number):
        """Of 1 to 8 KB, one kind after the other."""
        n = self.draw.randint(400, 4000)
        kinds = (
            lambda: self.head() + self.plain(n),
            lambda: self.head() + self.alternative(n),
            lambda: self.head() + self.multipart("mixed", self.plain(300), self.file(n)),
            lambda: self.head() + self.quoted(n),
            lambda: self.head() + self.multipart("mixed", self.plain(200), b"Content-Type: message/rfc822\r\n\r\n" +
                                                 self.head() + self.alternative(n // 2)),
            lambda: self.head(foreign=True) + self.plain(n),
        )
        return kinds[number % len(kinds)]()


def big(size):
    """A text and a file in base64: some so many octets."""
    w = Writer(7)
    return [w.head() + w.multipart("mixed", w.plain(100), w.file(size // 78 * 57))], w.found


def quoted(size):
    """A text in quoted-printable, of some so many octets when it is decoded."""
    w = Writer(8)
    return [w.head() + w.quoted(size)], w.found


def small(n):
    w = Writer(9)
    return [w.small(i) for i in range(n)], w.found
