"""
A capture of mixed mail and FTP traffic of any size, the same in every run: sessions of realistic sizes, many
at a time, IPv4 over Ethernet, a tenth of the octets under TLS. What is in it is counted while it is made.
"""

import base64
import collections
import hashlib
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "captures"))

import packets as P  # noqa: E402
from packets import Talk  # noqa: E402

MSS, AT_ONCE, BURST = 1448, 300, 4
WORDS = ("the quick report about our apples was sent to everybody who had asked for it on the day before the "
         "meeting and nobody has answered yet so please look at the numbers below").split()
SERVERS = [f"192.0.2.{i}" for i in range(20, 60)]
CLIENT = "198.18.0.1"  # of each template; instances have others of 198.18.0.0/15


class Facts:
    """What a reader must find."""

    def __init__(self):
        self.smtp = self.retrieved = self.files = self.sessions = self.tls = self.packets = 0
        self.subjects, self.digests = collections.Counter(), collections.Counter()
        self.octets = 0  # of TCP streams

    def add(self, template):
        for name in ("smtp", "retrieved", "files", "sessions", "tls", "octets"):
            setattr(self, name, getattr(self, name) + getattr(template, name))
        self.packets += len(template.rows)
        self.subjects.update(template.subjects)
        self.digests.update(template.digests)


class Dialogue(Talk):
    """Acknowledges every other segment."""

    def __init__(self, *ends):
        super().__init__(*ends, mss=MSS)
        self.unacked = 0

    def say(self, from_client, octets):
        for at in range(0, len(octets), MSS):
            self.segment(from_client, P.PSH | P.ACK, octets[at:at + MSS])
            self.unacked += 1
            if self.unacked == 2:
                self.segment(not from_client, P.ACK)
                self.unacked = 0
        return self


class Template:
    """One session: its frames, with where a client's address and ports stand, and what is in it."""

    def __init__(self, draw):
        self.draw = draw
        self.smtp = self.retrieved = self.files = self.sessions = self.tls = self.octets = 0
        self.subjects, self.digests, self.rows = collections.Counter(), collections.Counter(), []
        self.server = draw.choice(SERVERS)

    def open(self, port, sport=40000):
        self.sessions += 1
        return Dialogue((CLIENT, sport), (self.server, port))

    def done(self, *talks):
        """The packets of talks, ready to be changed."""
        for talk in talks:
            for from_client, packet in talk.packets:
                frame = P.ethernet(packet)
                self.octets += len(packet) - 40
                self.rows.append((from_client, frame, struct.unpack(">H", frame[24:26])[0],
                                  struct.unpack(">H", frame[50:52])[0],
                                  struct.unpack(">H", frame[34:36] if from_client else frame[36:38])[0]))
        self.size = sum(len(row[1]) + 16 for row in self.rows)
        return self

    # ---- contents ----

    def text(self, n):
        lines, size = [], 0
        while size < n:
            lines.append(" ".join(self.draw.choices(WORDS, k=11)))
            size += len(lines[-1]) + 2
        return "\r\n".join(lines).encode() + b"\r\n"

    def message(self):
        """Text, text and html, or with one to three files."""
        draw, b = self.draw, f"=-{self.draw.getrandbits(48):x}".encode()
        subject = f"Report {draw.getrandbits(40):x}"
        self.subjects[subject] += 1
        head = (f"Received: from a.example by b.example; Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: Anna <anna@good.example>\r\n"
                f"To: otto@campus.example, Emma <emma@campus.example>\r\nSubject: {subject}\r\nDate: Mon, 1 Jan 2024 00:00:00 "
                f"+0000\r\nMessage-ID: <{draw.getrandbits(64):x}@good.example>\r\nMIME-Version: 1.0\r\n").encode()
        plain = self.text(int(draw.lognormvariate(7.5, 0.9)))
        if draw.random() < 0.3:
            return head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + plain
        parts = [b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + plain,
                 b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>" + plain + b"</p></body></html>\r\n"]
        if draw.random() < 0.5:
            for i in range(draw.choice((1, 1, 1, 2, 3))):
                octets = draw.randbytes(int(draw.lognormvariate(12, 1.1)) % 5_000_000)
                self.digests[hashlib.sha256(octets).hexdigest()] += 1
                parts.append(f'Content-Type: application/octet-stream; name="f{i}.bin"\r\nContent-Disposition: attachment; '
                             f'filename="f{i}.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode()
                             + base64.encodebytes(octets).replace(b"\n", b"\r\n"))
        return head + b'Content-Type: multipart/mixed; boundary="' + b + b'"\r\n\r\n' + b"".join(
            b"--" + b + b"\r\n" + part for part in parts) + b"--" + b + b"--\r\n"


def smtp(draw):
    t = Template(draw)
    talk = t.open(draw.choice((25, 25, 587)))
    talk.s(b"220 mx.campus.example ESMTP\r\n").c(b"EHLO client.good.example\r\n")
    talk.s(b"250-mx.campus.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n")
    for i in range(draw.choice((1, 1, 1, 2, 4))):
        talk.c(b"MAIL FROM:<anna@good.example>\r\nRCPT TO:<otto@campus.example>\r\nRCPT TO:<emma@campus.example>\r\nDATA\r\n")
        talk.s(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n354 go on\r\n")
        talk.c(t.message() + b".\r\n").s(b"250 2.0.0 Ok: queued\r\n")
        t.smtp += 1
    return t.done(talk.c(b"QUIT\r\n").s(b"221 2.0.0 Bye\r\n").end())


def pop3(draw):
    t = Template(draw)
    talk = t.open(110)
    talk.s(b"+OK ready\r\n").c(b"USER otto\r\n").s(b"+OK\r\n").c(b"PASS secret\r\n").s(b"+OK in\r\n")
    for i in range(1, draw.choice((2, 3, 6))):
        text = t.message()
        talk.c(b"RETR %d\r\n" % i).s(b"+OK %d octets\r\n" % len(text) + text + b".\r\n")
        t.retrieved += 1
    return t.done(talk.c(b"QUIT\r\n").s(b"+OK bye\r\n").end())


def imap(draw):
    t = Template(draw)
    talk = t.open(143)
    talk.s(b"* OK [CAPABILITY IMAP4rev1] ready\r\n").c(b"a1 LOGIN otto secret\r\n").s(b"a1 OK in\r\n")
    talk.c(b"a2 SELECT INBOX\r\n").s(b"* 9 EXISTS\r\na2 OK [READ-WRITE] done\r\n")
    for i in range(1, draw.choice((2, 3, 6))):
        text = t.message()
        talk.c(b"f%d UID FETCH %d (UID BODY.PEEK[])\r\n" % (i, i))
        talk.s(b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (i, i, len(text)) + text + b")\r\nf%d OK done\r\n" % i)
        t.retrieved += 1
    return t.done(talk.c(b"z LOGOUT\r\n").s(b"* BYE\r\nz OK bye\r\n").end())


def ftp(draw):
    t = Template(draw)
    talk = t.open(21)
    talk.s(b"220 files\r\n").c(b"USER anna\r\n").s(b"331 go on\r\n").c(b"PASS secret\r\n").s(b"230 in\r\n")
    talk.c(b"TYPE I\r\n").s(b"200 ok\r\n")
    pieces = []
    for i in range(draw.choice((1, 2, 4))):
        upload, port = draw.random() < 0.3, draw.randrange(40_000, 60_000)
        octets = draw.randbytes(int(draw.lognormvariate(12.5, 1.3)) % 20_000_000)
        talk.c(b"EPSV\r\n").s(b"229 Extended Passive Mode (|||%d|)\r\n" % port)
        talk.c((b"STOR" if upload else b"RETR") + b" file%d.bin\r\n" % i).s(b"150 here it comes\r\n")
        data = Dialogue((CLIENT, 41_000 + i), (t.server, port))
        data.say(upload, octets).segment(upload, 0x11).segment(not upload, 0x11)
        talk.packets += data.packets
        talk.s(b"226 done\r\n")
        pieces.append(data)
        t.files += 1
        t.digests[hashlib.sha256(octets).hexdigest()] += 1
    return t.done(talk.c(b"QUIT\r\n").s(b"221 bye\r\n").end())


def tls(draw):
    """STARTTLS, a hello, and records that nobody can read."""
    t = Template(draw)
    talk = t.open(587)
    talk.s(b"220 mx ESMTP\r\n").c(b"EHLO client.good.example\r\n").s(b"250-mx\r\n250 STARTTLS\r\n")
    talk.c(b"STARTTLS\r\n").s(b"220 2.0.0 go on\r\n")
    name = b"mx.campus.example"
    sni = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    versions = bytes.fromhex("002b0003020304")
    extensions = sni + versions
    body = b"\x03\x03" + draw.randbytes(32) + b"\0" + b"\0\x04\x13\x01\xc0\x2f" + b"\x01\0" + \
        struct.pack(">H", len(extensions)) + extensions
    hello = b"\x01" + struct.pack(">I", len(body))[1:] + body
    talk.c(b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello)
    answer = b"\x03\x03" + draw.randbytes(32) + b"\0" + b"\x13\x01\0" + struct.pack(">H", len(versions) - 1) + \
        bytes.fromhex("002b00020304")
    answer = b"\x02" + struct.pack(">I", len(answer))[1:] + answer
    talk.s(b"\x16\x03\x03" + struct.pack(">H", len(answer)) + answer)
    left = int(draw.lognormvariate(12, 1.2)) % 5_000_000
    records = b""
    while left > 0:
        n = min(left, 16_000)
        records += b"\x17\x03\x03" + struct.pack(">H", n) + draw.randbytes(n)
        left -= n
    t.tls += 1
    return t.done(talk.c(records).s(b"\x17\x03\x03\0\x20" + draw.randbytes(32)).end())


# of sessions; octets come to about a half mail that is sent, a fifth that is fetched, a quarter FTP, a tenth TLS
MIX = [(smtp, 56), (pop3, 8), (imap, 8), (ftp, 10), (tls, 18)]


def templates(seed=1, n=150):
    draw = random.Random(seed)
    makers = draw.choices([m for m, _ in MIX], [w for _, w in MIX], k=n - len(MIX)) + [m for m, _ in MIX]
    return [make(draw) for make in makers]


def instance(template, number):
    """The frames of a template from another client: address and ports are changed, checksums with them."""
    address = struct.pack(">I", 0xC6120000 + 2 + number % 130_000)
    shift = number // 130_000 % 20
    base = sum(struct.unpack(">HH", P.packed(CLIENT)))
    change = sum(struct.unpack(">HH", address)) - base

    def summed(old, delta):
        return struct.pack(">H", -((~old & 0xFFFF) + delta) % 0xFFFF)

    for from_client, frame, ip_sum, tcp_sum, port in template.rows:
        ports = struct.pack(">H", port + shift)
        head = frame[:24] + summed(ip_sum, change)
        if from_client:
            head += address + frame[30:34] + ports + frame[36:50]
        else:
            head += frame[26:30] + address + frame[34:36] + ports + frame[38:50]
        yield head + summed(tcp_sum, change + shift) + frame[52:]


def write(out, octets, facts, seed=1, made=None, at_once=AT_ONCE, pause=40):
    """A capture of about so many octets, to a binary file; pause: microseconds from one packet to the next."""
    made = made or templates(seed)
    draw = random.Random(seed + 1)
    out.write(P.pcap_header())
    written, number, at = 0, 0, P.BEGAN
    running = []
    planned = 0
    while True:
        while len(running) < at_once and planned < octets:
            template = draw.choice(made)
            running.append(instance(template, number))
            facts.add(template)
            planned += template.size
            number += 1
        if not running:
            return written
        i = draw.randrange(len(running))
        frames = running[i]
        for _ in range(draw.randint(1, BURST)):
            frame = next(frames, None)
            if frame is None:
                running[i] = running[-1]
                running.pop()
                break
            n = len(frame)
            out.write(struct.pack("<IIII", at // 1_000_000, at % 1_000_000, n, n) + frame)
            written += n + 16
            at += pause


HALF_OPEN = {
    "SYN": lambda t: t,
    "greeted": lambda t: t.s(b"220 mx ESMTP\r\n").c(b"EHLO x.example\r\n").s(b"250 mx\r\n"),
    "in a message": lambda t: t.s(b"220 mx ESMTP\r\n").c(b"EHLO x.example\r\n").s(b"250 mx\r\n").c(
        b"MAIL FROM:<a@good.example>\r\n").s(b"250 ok\r\n").c(b"RCPT TO:<b@campus.example>\r\n").s(b"250 ok\r\n").c(
        b"DATA\r\n").s(b"354 go\r\n").c(b"Subject: never ends\r\n\r\nhello\r\n"),
}


def write_half_open(out, n, kind):
    """n sessions that all begin, and of which none ends."""
    out.write(P.pcap_header())
    t = Template(random.Random(1))
    talk = Dialogue((CLIENT, 40_000), ("192.0.2.25", 25))
    if kind == "SYN":
        talk.packets = talk.packets[:1]
    template = t.done(HALF_OPEN[kind](talk))
    for i in range(n):
        for frame in instance(template, i):
            out.write(P.pcap_record(frame, P.BEGAN + i * 10))
