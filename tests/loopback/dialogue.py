"""The two ends of a session, scripted: a server that keeps every octet, a client that lags none."""

import re
import socket
import threading

TIMEOUT = 10  # seconds; whoever waits longer for a reply has found a hang
CAPABILITIES = ("PIPELINING", "SIZE 20000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES",
                "CHUNKING", "BINARYMIME", "VRFY", "ETRN", "AUTH PLAIN LOGIN", "STARTTLS")


def undot(body):
    """The content of a DATA body, its end mark already gone (RFC 5321 section 4.5.2)."""
    return re.sub(rb"(\A|\r\n)\.", rb"\1", body)


class Session:
    """What one connection to the server came to."""

    def __init__(self, sock):
        self.sock = sock
        self.octets = bytearray()  # everything that was received
        self.taken = 0  # how far it has been read
        self.commands = []
        self.mails = []  # the content of the messages that came to their end
        self.unfinished = None  # what there is of one that did not
        self.opaque = None  # what came behind STARTTLS

    def fill(self):
        octets = self.sock.recv(1 << 18)
        if not octets:
            raise ConnectionError("client gone")
        self.octets += octets

    def until(self, mark):
        """Takes octets up to and including mark."""
        while (end := self.octets.find(mark, self.taken)) < 0:
            self.fill()
        out = self.octets[self.taken : end + len(mark)]
        self.taken = end + len(mark)
        return out

    def exactly(self, count):
        while len(self.octets) < self.taken + count:
            self.unfinished = self.octets[self.taken :]
            self.fill()
        out = self.octets[self.taken : self.taken + count]
        self.taken += count
        return out

    def body(self):
        """Takes a DATA body; the mark may be its first line."""
        start = seen = self.taken
        self.unfinished = b""
        while True:
            if self.octets.startswith(b".\r\n", start):
                self.taken = start + 3
                return b""
            end = self.octets.find(b"\r\n.\r\n", seen)
            if end >= 0:
                self.taken = end + 5
                return undot(self.octets[start : end + 2])
            seen = max(start, len(self.octets) - 4)
            self.unfinished = self.octets[start:]
            self.fill()


class Server:
    """
    An SMTP server on loopback. It accepts everything, but where replies has something else:
    a verb ("GREETING", "EHLO", ".", "SASL" for the lines of an exchange ...) to octets, to a list of
    octets used up in turn, or to None: close. keep: False forgets a session when it ends, but for
    the number of mails.
    """

    def __init__(self, replies=None, capabilities=CAPABILITIES, keep=True):
        self.replies = {k.upper(): v for k, v in (replies or {}).items()}
        self.capabilities = capabilities
        self.keep = keep
        self.sessions = []
        self.count = 0  # of mails that came to their end
        self.lock = threading.Lock()
        self.faults = []
        self.socket = self.listen()
        self.port = self.socket.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def listen(self):
        return socket.create_server(("127.0.0.1", 0))

    def close(self):
        """Ends every session; a server whose own code broke says so here."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for session in list(self.sessions):
            try:
                session.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in list(self.threads):
            thread.join(TIMEOUT)
        assert not self.faults, self.faults

    @property
    def mails(self):
        return [mail for session in self.sessions for mail in session.mails]

    @property
    def octets(self):
        return b"".join(session.octets for session in self.sessions)

    def accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            sock.settimeout(3 * TIMEOUT)
            session = Session(sock)
            thread = threading.Thread(target=self.serve, args=(session,), daemon=True)
            with self.lock:
                self.sessions.append(session)
                self.threads.append(thread)
            thread.start()

    def serve(self, session):
        try:
            with session.sock:
                self.talk(session)
        except OSError:
            pass
        except Exception as fault:  # a thread's exception would otherwise be seen by nobody
            self.faults.append(fault)
        with self.lock:
            self.count += len(session.mails)
            if not self.keep:
                self.sessions.remove(session)
                self.threads.remove(threading.current_thread())

    def default(self, verb):
        if verb == "EHLO":
            lines = ["server.example", *self.capabilities]
            text = "".join(f"250{'-' if n + 1 < len(lines) else ' '}{line}\r\n"
                           for n, line in enumerate(lines))
            return text.encode()
        codes = {"GREETING": "220 server.example ESMTP", "DATA": "354 go on", "QUIT": "221 2.0.0 bye",
                 "STARTTLS": "220 2.0.0 ready", "AUTH": "235 2.7.0 done", "SASL": "235 2.7.0 done",
                 "VRFY": "252 2.1.5 perhaps", "EXPN": "250 2.1.5 list", "HELP": "214 2.0.0 help"}
        return codes.get(verb, "250 2.0.0 ok").encode() + b"\r\n"

    def say(self, session, verb):
        """Answers; returns the code, None when it closes instead."""
        reply = self.replies.get(verb, self.default(verb))
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else self.default(verb)
        if reply is None:
            return None
        session.sock.sendall(reply)
        return int(reply[:3]) if reply[:3].isdigit() else 0

    def talk(self, session):
        if self.say(session, "GREETING") is None:
            return
        while True:
            line = bytes(session.until(b"\r\n")[:-2])
            session.commands.append(line)
            verb = line.split(b" ")[0].decode("latin-1").upper()
            if verb == "BDAT":
                code = self.chunk(session, line)
            else:
                code = self.say(session, verb)
            if verb == "AUTH":
                while code == 334:
                    session.commands.append(bytes(session.until(b"\r\n")[:-2]))
                    code = self.say(session, "SASL")
            if verb == "DATA" and code == 354:
                session.mails.append(session.body())
                session.unfinished = None
                code = self.say(session, ".")
            if verb == "STARTTLS" and code == 220:
                self.behind_starttls(session)
                return
            if code is None or verb == "QUIT":
                return

    def chunk(self, session, line):
        words = line.split(b" ")
        octets = session.exactly(int(words[1]))
        session.unfinished = (getattr(session, "chunks", b"")) + octets
        session.chunks = session.unfinished
        if words[2:] == [b"LAST"]:
            session.mails.append(session.chunks)
            session.unfinished = None
            session.chunks = b""
            return self.say(session, ".")
        return self.say(session, "BDAT")

    def behind_starttls(self, session):
        session.opaque = b""
        while True:
            session.fill()
            session.opaque = session.octets[session.taken :]


class Client:
    """Sends exact octets and reads replies one by one."""

    def __init__(self, address, source=None):
        self.sock = socket.create_connection(address, TIMEOUT, source_address=source)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting = b""
        self.ended = False
        self.replies = []  # (code, octets)

    def close(self):
        self.sock.close()

    def send(self, octets, step=None):
        """In one write, or step octets at a time. A peer that has left is no error here."""
        try:
            for at in range(0, len(octets), step or max(len(octets), 1)):
                self.sock.sendall(octets[at : at + (step or len(octets))])
        except (BrokenPipeError, ConnectionResetError):
            pass

    def fill(self):
        try:
            octets = self.sock.recv(65536)
        except ConnectionResetError:
            octets = b""
        self.waiting += octets
        self.ended = not octets
        return bool(octets)

    def reply(self):
        """The next reply as (code, octets), or None when the stream has ended; TimeoutError: a hang."""
        lines = b""
        while True:
            while (end := self.waiting.find(b"\r\n")) < 0:
                if not self.fill():
                    assert not lines and not self.waiting, f"half a reply: {lines + self.waiting!r}"
                    return None
            line, self.waiting = self.waiting[: end + 2], self.waiting[end + 2 :]
            assert re.match(rb"[2-5][0-9][0-9]([ -][^\r\n]*)?\r\n\Z", line), f"no reply: {line!r}"
            assert not lines or lines[:3] == line[:3], f"mixed codes: {lines + line!r}"
            lines += line
            if line[3:4] != b"-":
                self.replies.append((int(line[:3]), lines))
                return self.replies[-1]

    def ask(self, line):
        self.send(line + b"\r\n")
        return self.reply()

    def drain(self):
        """Reads replies until the stream ends, and ends its own."""
        while self.reply() is not None:
            pass
        self.close()
