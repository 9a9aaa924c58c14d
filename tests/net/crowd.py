#!/usr/bin/python3
"""
A crowd: thousands of connections in a process of its own, to be run in a namespace.

    crowd.py serve ADDRESS PORT            an SMTP server that says 250 to everything; on port 143 an
                                           IMAP server
    crowd.py hold SOURCE TO PORT N         N clients that say EHLO and then nothing; on port 143 they
                                           log in, select a mailbox, and are in IDLE
    crowd.py drip SOURCE TO PORT N         N clients that say one octet each second
    crowd.py scan SOURCE TO PORT N         connects to N addresses from TO on, one after the other
    crowd.py syn SOURCE TO PORT N          N half-open connections from N addresses from SOURCE on

One line on standard output when all is set up: "ready", then what came of it. After that each line
on standard input is a question that gets one line: "ask": how many of those that are held get 250
for a NOOP, or OK for the end of their IDLE; "end": the end, which the end of standard input is too.
"""

import collections
import ipaddress
import resource
import select
import socket
import struct
import sys
import time

AT_ONCE = 200  # connects that are under way at a time; a listener's queue takes as many
PATIENCE = 120  # seconds for all of it
ANSWERS = {b"EHLO": b"250-crowd.campus.example\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n",
           b"QUIT": b"221 2.0.0 Bye\r\n"}
IMAP = 143
GREETINGS = {IMAP: b"* OK [CAPABILITY IMAP4rev1 IDLE] crowd.campus.example\r\n"}
# What clients say, one after the other; what is a yes to it; and what is said for an answer.
HELLO = [b"EHLO crowd.good.example\r\n"]
HELLOS = {IMAP: [b"a LOGIN anna secret\r\n", b"b SELECT INBOX\r\n", b"c IDLE\r\n"]}
GOOD = (b"220", b"250", b"* OK", b"a OK", b"b OK", b"c OK", b"+ go")
ASK = {IMAP: b"DONE\r\n"}


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Held:
    """One connection: what came, and how far it is."""

    __slots__ = ("sock", "waiting", "step")

    def __init__(self, sock):
        self.sock = sock
        self.waiting = b""
        self.step = "connect"


class Loop:
    """Connections by descriptor, and who is told when one can be read or written."""

    def __init__(self):
        self.poll = select.epoll()
        self.held = {}

    def add(self, one, events):
        self.held[one.sock.fileno()] = one
        self.poll.register(one.sock.fileno(), events)

    def drop(self, one):
        self.held.pop(one.sock.fileno(), None)
        one.sock.close()

    def read(self, one):
        """What came, and None at the end of the stream."""
        try:
            octets = one.sock.recv(65536)
        except BlockingIOError:
            return b""
        except OSError:
            return None
        return octets or None


def say(sock, octets):
    try:
        sock.send(octets)
    except OSError:
        pass  # seen when it is read


def serve(address, port):
    loop = Loop()
    listener = socket.socket(family(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(4096)
    listener.setblocking(False)
    loop.poll.register(listener.fileno(), select.EPOLLIN)
    loop.poll.register(0, select.EPOLLIN | select.EPOLLHUP)
    print("ready", flush=True)
    while True:
        for fd, _ in loop.poll.poll():
            if fd == 0:
                line = sys.stdin.readline()
                if line.strip() in ("", "end"):
                    return
                print(len(loop.held), flush=True)
            elif fd == listener.fileno():
                accept(loop, listener, GREETINGS.get(port, b"220 crowd.campus.example ESMTP\r\n"))
            else:
                answer(loop, loop.held[fd], answer_imap if port == IMAP else answer_smtp)


def accept(loop, listener, greeting):
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        loop.add(Held(sock), select.EPOLLIN)
        say(sock, greeting)


def answer(loop, one, reply):
    octets = loop.read(one)
    if octets is None:
        loop.drop(one)
        return
    *lines, one.waiting = (one.waiting + octets).split(b"\r\n")
    for line in lines:
        reply(one, line)


def answer_smtp(one, line):
    verb = line[:4].upper()
    if one.step == "message":
        if line != b".":
            return
        one.step = "command"
    elif verb == b"DATA":
        one.step = "message"
    say(one.sock, ANSWERS.get(verb, b"250 2.0.0 Ok\r\n"))


def answer_imap(one, line):
    if line.endswith(b" IDLE"):
        say(one.sock, b"+ go on\r\n")
    else:
        say(one.sock, b"%s OK done\r\n" % (b"c" if line == b"DONE" else line.split(b" ")[0]))


class Clients:
    """Connects that are begun a few at a time, and what is to be said on each, line by line."""

    def __init__(self, source, targets, port, hello=HELLO):
        self.loop = Loop()
        self.source = source
        self.port = port
        self.hello = hello
        self.targets = collections.deque(targets)
        self.under_way = 0
        self.came = collections.Counter()
        self.firm = []

    def begin(self):
        target = self.targets.popleft()
        sock = socket.socket(family(target), socket.SOCK_STREAM)
        sock.setblocking(False)
        # the port is found at connect(), which knows the other end: there are enough of them
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((self.source, 0))
        sock.connect_ex((target, self.port))
        self.under_way += 1
        self.loop.add(Held(sock), select.EPOLLIN | select.EPOLLOUT)

    def over(self, one, what):
        self.came[what] += 1
        self.under_way -= 1
        if what != "held":
            self.loop.drop(one)

    def happened(self, one):
        if one.step == "connect":
            error = one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.over(one, "refused" if error == 111 else f"errno{error}")
                return
            one.step = "greeting"
            self.loop.poll.modify(one.sock.fileno(), select.EPOLLIN)
            return
        octets = self.loop.read(one)
        if octets is None:
            self.over(one, "closed")
            return
        one.waiting += octets
        if not one.waiting.endswith(b"\n"):
            return
        code, one.waiting = one.waiting.splitlines()[-1][:4], b""
        if code[3:] == b"-":
            return
        if not code.startswith(GOOD):
            self.over(one, code[:3].decode("latin-1"))
            return
        said = 0 if one.step == "greeting" else one.step
        if said < len(self.hello):
            one.step = said + 1
            say(one.sock, self.hello[said])
        else:
            one.step = "held"
            self.firm.append(one)
            self.over(one, "held")

    def run(self):
        end = time.monotonic() + PATIENCE
        while (self.targets or self.under_way) and time.monotonic() < end:
            while self.targets and self.under_way < AT_ONCE:
                self.begin()
            for fd, _ in self.loop.poll.poll(1):
                if fd in self.loop.held and self.loop.held[fd].step != "held":
                    self.happened(self.loop.held[fd])

    def ask(self):
        """How many get 250 for a NOOP, or OK."""
        for one in self.firm:
            say(one.sock, ASK.get(self.port, b"NOOP\r\n"))
        good, end = 0, time.monotonic() + PATIENCE
        for one in self.firm:
            one.sock.settimeout(max(0.1, end - time.monotonic()))
            try:
                good += one.sock.recv(4096).startswith(GOOD)
            except OSError:
                pass
            one.sock.setblocking(False)
        return good


def talk(answers):
    """Questions from standard input, until it ends."""
    for line in sys.stdin:
        if line.strip() == "end":
            return
        print(answers[line.strip()](), flush=True)


def report(came):
    print("ready", *(f"{what}={n}" for what, n in sorted(came.items())), flush=True)


def hold(source, to, port, n):
    clients = Clients(source, [to] * n, port, HELLOS.get(port, HELLO))
    clients.run()
    report(clients.came)
    talk({"ask": clients.ask})


def drip(source, to, port, n):
    """They never end a line: the command that they say is the longest one that there is."""
    clients = Clients(source, [to] * n, port, hello=[])
    clients.run()
    report(clients.came)
    while True:
        for one in clients.firm:
            say(one.sock, b"N")
        if select.select([sys.stdin], [], [], 1)[0]:
            if sys.stdin.readline().strip() in ("", "end"):
                return
            print(len(clients.firm), flush=True)


def scan(source, to, port, n):
    first = ipaddress.ip_address(to)
    clients = Clients(source, [str(first + i) for i in range(n)], port)
    clients.run()
    report(clients.came)
    talk({})


def checksum(octets):
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(source, to, port, n):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    first, there = int(ipaddress.ip_address(source)), socket.inet_aton(to)
    for i in range(n):
        here = struct.pack(">I", first + i)
        head = struct.pack(">HHIIBBHHH", 1024 + i % 60000, port, i, 0, 5 << 4, 2, 64240, 0, 0)
        total = checksum(here + there + struct.pack(">BBH", 0, 6, 20) + head)
        packet = struct.pack(">BBHHHBBH", 0x45, 0, 40, i & 0xFFFF, 0, 64, 6, 0) + here + there
        try:
            raw.sendto(packet + head[:16] + struct.pack(">H", total) + head[18:], (to, 0))
        except OSError:
            time.sleep(0.001)  # no room in the queue of the interface
    print(f"ready sent={n}", flush=True)
    talk({})


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    what, *arguments = sys.argv[1:]
    arguments = [int(a) if a.isdigit() else a for a in arguments]
    {"serve": serve, "hold": hold, "drip": drip, "scan": scan, "syn": syn}[what](*arguments)


if __name__ == "__main__":
    main()
