"""Scripted peers: a client that sends exactly the octets it is told, a server that keeps them."""

import re
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from lab import LabError, wait_for

WHOLE, OCTETS = "whole", "octets"  # one write; one octet per segment. A number: cut there


class Closed(Exception):
    """The other side ended the connection; .octets is what came before the end."""

    def __init__(self, octets=b""):
        super().__init__(f"closed after {octets[-200:]!r}")
        self.octets = octets


class Reply:
    """A whole reply: code, lines without their CR LF, and the octets as they came."""

    def __init__(self, octets):
        self.octets = octets
        self.lines = octets.decode("utf-8", "replace").split("\r\n")[:-1]
        self.code = int(self.lines[-1][:3]) if self.lines[-1][:3].isdigit() else None
        enhanced = re.match(r"\d\d\d[ -]([245]\.\d{1,3}\.\d{1,3})\b", self.lines[-1])
        self.enhanced = enhanced.group(1) if enhanced else None
        self.text = "\n".join(self.lines)

    def __repr__(self):
        return f"<{self.text}>"

    def is_(self, code, enhanced=None):
        return self.code == code and enhanced in (None, self.enhanced)


# How a program hears of a reset: in the clear, and under TLS.
RESET = (ConnectionResetError, ssl.SSLEOFError)


class Stream:
    """A TCP connection with lines, exact reads and deadlines."""

    def __init__(self, sock, timeout=10):
        self.sock = sock
        self.timeout = timeout
        self.pending = bytearray()
        self._received = bytearray()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def received(self):
        """Every octet that ever came."""
        return bytes(self._received)

    def send(self, octets, how=WHOLE):
        if isinstance(octets, str):
            octets = octets.encode()
        self.sock.settimeout(self.timeout)
        if how == OCTETS:
            for i in range(len(octets)):
                self.sock.sendall(octets[i:i + 1])
        elif how == WHOLE:
            self.sock.sendall(octets)
        else:
            self.sock.sendall(octets[:how])
            time.sleep(0.02)  # so that the two parts are two reads at the other end
            self.sock.sendall(octets[how:])

    def fill(self, timeout=None):
        """Waits for more octets; Closed at the end of the stream."""
        self.sock.settimeout(self.timeout if timeout is None else timeout)
        try:
            more = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            more = b""
        if not more:
            raise Closed(bytes(self.pending))
        self.pending += more
        self._received += more

    def exactly(self, n):
        while len(self.pending) < n:
            self.fill()
        taken = bytes(self.pending[:n])
        del self.pending[:n]  # what stays is not copied: there may be millions of octets behind a line
        return taken

    def until(self, mark, timeout=None):
        """Up to and including mark."""
        looked = 0  # what was looked at is not looked at again: messages are long
        while (at := self.pending.find(mark, max(0, looked - len(mark)))) < 0:
            looked = len(self.pending)
            self.fill(timeout)
        return self.exactly(at + len(mark))

    def line(self, timeout=None):
        return self.until(b"\n", timeout)

    def rest(self, timeout=None):
        """Everything up to the end of the stream."""
        try:
            while True:
                self.fill(timeout)
        except Closed:
            return self.exactly(len(self.pending))

    def silent(self, seconds):
        """True when nothing comes for that long."""
        try:
            self.fill(seconds)
            return False
        except (TimeoutError, socket.timeout):
            return True
        except Closed:
            return False

    def closed(self, timeout=None):
        """True when the other side ends the connection, with nothing more to read."""
        try:
            self.fill(timeout)
        except Closed as end:
            return not end.octets
        except (TimeoutError, socket.timeout):
            return False
        return False

    def close(self):
        self.sock.close()

    def finish(self):
        """Half a close: we have nothing more to send."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class RawClient(Stream):
    """An SMTP client that does only what it is told."""

    def __init__(self, namespace, to, port=25, source=None, timeout=10, rcvbuf=None, source_port=0):
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        sock = namespace.tcp(family)
        try:
            if rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            if source_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if source:
                sock.bind((source, source_port))
            sock.settimeout(timeout)
            sock.connect((to, port))
        except BaseException:
            sock.close()
            raise
        super().__init__(sock, timeout)

    def reply(self, timeout=None):
        octets = b""
        while True:
            line = self.line(timeout)
            octets += line
            if line[3:4] != b"-":
                return Reply(octets)

    def cmd(self, line, how=WHOLE, timeout=None):
        """Sends one command line, reads one reply."""
        if isinstance(line, str):
            line = line.encode()
        self.send(line + b"\r\n", how)
        return self.reply(timeout)

    def hello(self, name="client.good.example", verb="EHLO"):
        """Greeting and EHLO; gives the reply to the latter."""
        greeting = self.reply()
        assert greeting.code == 220, greeting
        answer = self.cmd(f"{verb} {name}")
        assert answer.code == 250, answer
        return answer

    def envelope(self, sender="anna@good.example", *recipients, mail="", rcpt=""):
        """MAIL and RCPTs that must be taken."""
        assert self.cmd(f"MAIL FROM:<{sender}>{mail}").code == 250
        for recipient in recipients or ("otto@campus.example",):
            answer = self.cmd(f"RCPT TO:<{recipient}>{rcpt}")
            assert answer.code in (250, 251), answer

    def data(self, wire, how=WHOLE, timeout=None):
        """DATA, 354, then wire with its end mark as given; the reply to it."""
        answer = self.cmd("DATA")
        assert answer.code == 354, answer
        self.send(wire, how)
        return self.reply(timeout)

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock.settimeout(self.timeout)
        self.sock = context.wrap_socket(self.sock)


def knock(namespace, to, port=25, source=None, timeout=8):
    """
    What comes of a connect: the code of the greeting, as text; "refused"; "reset", "closed" when it
    was accepted first; "silent" when nothing comes at all.
    """
    try:
        client = RawClient(namespace, to, port, source, timeout)
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"
    except (TimeoutError, socket.timeout):
        return "silent"
    except OSError as error:
        return str(error)
    with client:
        try:
            octets = client.sock.recv(4096)
        except ConnectionResetError:
            return "reset"
        except (TimeoutError, socket.timeout):
            return "silent"
    return octets[:3].decode("latin-1") if octets else "closed"


class Crowd:
    """
    Thousands of connections at once, in a process of their own (crowd.py). came has what became
    of them: {"held": 9990, "421": 10}.
    """

    def __init__(self, namespace, what, *arguments, timeout=150):
        program = Path(__file__).with_name("crowd.py")
        argv = ["setpriv", "--pdeathsig", "KILL", "--",
                *namespace.command(sys.executable, "-B", program, what, *arguments)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.timeout = timeout
        self._came = None

    @property
    def came(self):
        """Waits until all are set up."""
        if self._came is None:
            words = self._line().split()
            if words[:1] != ["ready"]:
                raise LabError(f"a crowd that ended at once: {words}")
            self._came = {k: int(v) for k, v in (word.split("=") for word in words[1:])}
        return self._came

    def _line(self):
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            raise LabError(f"nothing from a crowd within {self.timeout} s")
        return self.process.stdout.readline()

    def ask(self, question="ask"):
        """Of those that are held, how many are answered; of a server, how many it has."""
        assert self.came is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return int(self._line())

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Mail:
    """One message that a FakeServer took: envelope lines and content as it stood on the wire."""

    def __init__(self, sender, recipients, wire, transfer):
        self.sender, self.recipients = sender, recipients
        self.wire = wire          # DATA: with stuffed dots, without the end mark; BDAT: content
        self.transfer = transfer  # "DATA", "BDAT"

    @property
    def content(self):
        """With the stuffed dots taken out."""
        if self.transfer == "BDAT":
            return self.wire
        return re.sub(rb"(^|\r\n)\.", rb"\1", self.wire)

    def __repr__(self):
        return f"<Mail {self.sender} {self.recipients} {len(self.wire)} octets>"


class Conversation(Stream):
    """What one client of a FakeServer said."""

    def __init__(self, sock, peer):
        super().__init__(sock, 30)
        self.peer = peer
        self.commands = []  # lines as they came, with their line ends

    def command(self):
        line = self.line()
        self.commands.append(line)
        return line

    def verbs(self):
        return [line.split()[0].upper().decode("latin-1") for line in self.commands if line.split()]


EHLO = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES",
        "CHUNKING", "BINARYMIME", "VRFY", "ETRN", "HELP")


class FakeServer:
    """
    An SMTP server in a thread, lenient on purpose: it takes everything, so that what stops a
    message can only be the gateway.

    replies   {"RCPT": b"550 no\\r\\n"} or a function (conversation, line) -> octets or None; None:
              the ordinary answer. "GREETING", "EHLO", ..., "." for the reply to a message.
    script    function (conversation) that takes the place of the whole dialogue
    """

    def __init__(self, namespace, address, port=0, ehlo=EHLO, replies=None, script=None,
                 rcvbuf=None):
        self.ehlo = ehlo
        self.replies = dict(replies or {})
        self.script = script or self.serve
        self.mails = []
        self.conversations = []
        self.errors = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = namespace.tcp(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.listener.bind((address, port))
        self.listener.listen(128)
        self.address, self.port = self.listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:  # closed
                return
            conversation = Conversation(sock, peer)
            self.conversations.append(conversation)
            threading.Thread(target=self._run, args=(conversation,), daemon=True).start()

    def _run(self, conversation):
        try:
            self.script(conversation)
        except (Closed, OSError, ValueError):  # the peer went away, or a test closed us
            pass
        except Exception as error:
            self.errors.append(error)
        finally:
            conversation.over = True
            conversation.close()

    def close(self):
        # shutdown wakes accept(); close alone would not
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conversation in self.conversations:
            try:
                conversation.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        assert not self.errors, self.errors

    @property
    def commands(self):
        return [line for c in self.conversations for line in c.commands]

    @property
    def octets(self):
        """Everything that any client sent, connection after connection."""
        return b"".join(c.received for c in self.conversations)

    def conversation(self, n=0, timeout=10):
        wait_for(lambda: len(self.conversations) > n, timeout, f"connection {n}")
        return self.conversations[n]

    def ended(self, n=0, timeout=10):
        """Waits for the end of connection n, so that what it got is all there is."""
        conversation = self.conversation(n, timeout)
        wait_for(lambda: getattr(conversation, "over", False), timeout, f"end of connection {n}")
        return conversation

    def answer(self, c, key, line, usual):
        reply = self.replies.get(key)
        if callable(reply):
            reply = reply(c, line)
        c.send(usual if reply is None else reply)
        return usual if reply is None else reply

    def serve(self, c):
        sender, recipients, chunks = None, [], None
        self.answer(c, "GREETING", b"", b"220 fake.campus.example ESMTP\r\n")
        while True:
            line = c.command()
            words = line.split()
            verb = words[0].upper().decode("latin-1") if words else ""
            if verb == "EHLO":
                lines = ["fake.campus.example", *self.ehlo]
                text = "".join(f"250-{x}\r\n" for x in lines[:-1]) + f"250 {lines[-1]}\r\n"
                if self.answer(c, verb, line, text.encode())[:1] == b"2":
                    sender, recipients, chunks = None, [], None
            elif verb == "MAIL":
                reply = self.answer(c, verb, line, b"250 2.1.0 Ok\r\n")
                if reply[:1] == b"2":
                    sender, recipients, chunks = _path(line), [], None
            elif verb == "RCPT":
                reply = self.answer(c, verb, line, b"250 2.1.5 Ok\r\n")
                if reply[:1] == b"2":
                    recipients.append(_path(line))
            elif verb == "DATA":
                if self.answer(c, verb, line, b"354 go on\r\n")[:3] == b"354":
                    # the end mark may come as the very first line, after the CR LF of DATA
                    wire = bytearray()
                    while not (wire == b".\r\n" or wire.endswith(b"\r\n.\r\n")):
                        wire += c.line()
                    self.mails.append(Mail(sender, recipients, bytes(wire[:-3]), "DATA"))
                    self.answer(c, ".", line, b"250 2.0.0 Ok: queued as FAKE1\r\n")
                    sender, recipients = None, []
            elif verb == "BDAT":
                chunks = (chunks or b"") + c.exactly(int(words[1]))
                last = len(words) > 2
                if last:
                    self.mails.append(Mail(sender, recipients, chunks, "BDAT"))
                    sender, recipients, chunks = None, [], None
                self.answer(c, "." if last else verb, line, b"250 2.0.0 Ok\r\n")
            elif verb == "QUIT":
                self.answer(c, verb, line, b"221 2.0.0 Bye\r\n")
                return
            elif verb == "AUTH":
                self.answer(c, verb, line, b"235 2.7.0 Authenticated\r\n")
            elif verb == "STARTTLS":
                self.answer(c, verb, line, b"454 4.7.0 TLS not available\r\n")
            elif verb in ("HELO", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "ETRN"):
                self.answer(c, verb, line, b"250 2.0.0 Ok\r\n")
                if verb in ("HELO", "RSET"):
                    sender, recipients, chunks = None, [], None
            else:
                self.answer(c, verb, line, b"502 5.5.2 what?\r\n")


def _path(line):
    """What stands between the outer brackets, or all of it."""
    found = re.search(rb"<(.*)>", line)
    return (found.group(1) if found else line.strip()).decode("utf-8", "replace")


class FakeDns:
    """
    A DNS server over UDP and TCP that answers as told.

    script  function (name, type name) -> (rcode, [(type name, text)]) or the octets of an answer
            that are no DNS message at all
    """

    TYPES = {1: "A", 15: "MX", 28: "AAAA", 2: "NS", 48: "DNSKEY", 43: "DS", 6: "SOA"}

    def __init__(self, namespace, address, port, script):
        self.script = script
        self.asked = []
        self.socket = namespace.udp()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question or peer == self.socket.getsockname():
                return  # close() woke us
            self.socket.sendto(self._answer(question), peer)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1"))
            at += question[at] + 1
        kind = self.TYPES.get(int.from_bytes(question[at + 1:at + 3], "big"), "other")
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        answer = self.script(name, kind)
        if isinstance(answer, bytes):
            return question[:2] + answer
        rcode, rows = answer
        header = question[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(rows), 0, 0)
        octets = header + question[12:at + 5]
        for row_kind, text in rows:
            data = socket.inet_pton(socket.AF_INET if row_kind == "A" else socket.AF_INET6, text)
            number = next(n for n, t in self.TYPES.items() if t == row_kind)
            octets += b"\xc0\x0c" + struct.pack(">HHIH", number, 1, 60, len(data)) + data
        return octets

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()
