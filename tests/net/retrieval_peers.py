"""Scripted POP3 and IMAP peers: clients and servers that say exactly what they are told."""

import re

from mail_servers import PASSWORD
from peers import WHOLE, FakeServer, RawClient

USER = "anna"
LITERAL = re.compile(rb"(~?)\{(\d+)([+-]?)\}\r\n$")


def stuffed(content):
    """As POP3 sends a message: dots doubled, and the end mark."""
    wire = re.sub(rb"(^|\r\n)\.", rb"\1..", content)
    return wire + (b"" if wire.endswith(b"\r\n") or not wire else b"\r\n") + b".\r\n"


class Said:
    """One reply: its octets, whether it is a yes, and what came before it."""

    def __init__(self, octets, before=b""):
        self.octets, self.before = octets, before
        self.text = octets.decode("utf-8", "replace").rstrip("\r\n")
        words = self.text.split(" ", 2)
        self.tag, self.status = words[0], words[1] if len(words) > 1 else ""
        self.ok = self.tag == "+OK" or self.status == "OK"

    def __repr__(self):
        return f"<{self.text}>"


# ---- POP3 ----


class Pop3Client(RawClient):
    """A POP3 client that does only what it is told."""

    def __init__(self, namespace, to, port=110, source=None, timeout=10, **options):
        super().__init__(namespace, to, port, source, timeout, **options)

    def reply(self, timeout=None):
        return Said(self.line(timeout))

    def login(self, user=USER, password=PASSWORD):
        for line in (None, f"USER {user}", f"PASS {password}"):
            said = self.cmd(line) if line else self.reply()
            assert said.ok, said
        return self

    def wire(self, timeout=None):
        """The lines behind a +OK, as they came, with the dot."""
        octets = self.line(timeout)
        if octets == b".\r\n":
            return octets
        return octets + self.until(b"\r\n.\r\n", timeout) if octets.endswith(b"\r\n") else octets

    def content(self, timeout=None):
        """The message behind a +OK, dots undone."""
        octets = b"\r\n" + self._to_the_dot(timeout)
        return octets.replace(b"\r\n.", b"\r\n")[2:]

    def _to_the_dot(self, timeout):
        while not self.pending.startswith(b".\r\n"):
            at = self.pending.find(b"\r\n.\r\n")
            if at >= 0:
                octets = self.exactly(at + 2)
                self.exactly(3)
                return octets
            self.fill(timeout)
        self.exactly(3)
        return b""

    def lines(self, command, timeout=None):
        """A command that many lines answer; they, without line ends."""
        said = self.cmd(command)
        assert said.ok, said
        return self.content(timeout).split(b"\r\n")[:-1]

    def retr(self, i, timeout=60):
        said = self.cmd(f"RETR {i}")
        assert said.ok, said
        return self.content(timeout)

    def quit(self):
        assert self.cmd("QUIT").ok
        self.close()


class FakePop3(FakeServer):
    """
    A POP3 server in a thread that lets everybody in.

    messages  what the mailbox holds
    replies   {"STAT": b"-ERR no\\r\\n"} or a function (conversation, line) -> octets or None
    """

    protocol = "pop3"
    CAPA = ("TOP", "UIDL", "USER", "SASL PLAIN LOGIN XOAUTH2", "PIPELINING", "RESP-CODES", "STLS", "UTF8")

    def __init__(self, namespace, address, port=110, messages=(), capa=CAPA, **options):
        self.messages, self.capa = list(messages), capa
        self.deleted = []  # really: QUIT was said
        super().__init__(namespace, address, port, **options)

    def listing(self, what):
        return b"+OK\r\n" + b"".join(b"%d %s\r\n" % (i, x) for i, x in enumerate(what, 1)) + b".\r\n"

    def usual(self, c, verb, words):
        """(the ordinary reply, whether the session ends)"""
        n = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        there = 0 < n <= len(self.messages)
        sizes = [b"%d" % len(m) for m in self.messages]
        if verb in ("RETR", "TOP") and there:
            return b"+OK\r\n" + stuffed(self.messages[n - 1]), False
        if verb in ("LIST", "UIDL"):
            what = sizes if verb == "LIST" else [b"uid%d" % i for i in range(1, len(sizes) + 1)]
            return (b"+OK %d %s\r\n" % (n, what[n - 1]) if there else self.listing(what)), False
        if verb == "STAT":
            return b"+OK %d %d\r\n" % (len(sizes), sum(map(int, sizes))), False
        if verb == "CAPA":
            return b"+OK\r\n" + "".join(x + "\r\n" for x in self.capa).encode() + b".\r\n", False
        if verb == "DELE" and there:
            c.marked = [*getattr(c, "marked", []), n]
            return b"+OK deleted\r\n", False
        if verb == "QUIT":
            self.deleted += getattr(c, "marked", [])
            return b"+OK bye\r\n", True
        if verb in ("USER", "PASS", "APOP", "AUTH", "NOOP", "RSET", "UTF8", "LANG"):
            return b"+OK\r\n", False
        return b"-ERR no\r\n", False

    def serve(self, c):
        self.answer(c, "GREETING", b"", b"+OK fake <1896.697170952@fake.campus.example>\r\n")
        over = False
        while not over:
            line = c.command()
            words = line.split()
            verb = words[0].upper().decode("latin-1") if words else ""
            usual, over = self.usual(c, verb, words)
            self.answer(c, verb, line, usual)


# ---- IMAP ----


def response(stream, timeout=None):
    """One whole line with its literals."""
    octets = stream.line(timeout)
    while found := LITERAL.search(octets[-32:]):
        octets += stream.exactly(int(found.group(2)))
        octets += stream.line(timeout)
    return octets


def literals(octets):
    """The literals in what a server said, in their order."""
    found, at = [], 0
    while match := re.compile(rb"~?\{(\d+)[+-]?\}\r\n").search(octets, at):
        n = int(match.group(1))
        found.append(octets[match.end():match.end() + n])
        at = match.end() + n
    return found


class ImapClient(RawClient):
    """An IMAP client that does only what it is told; it makes up tags."""

    def __init__(self, namespace, to, port=143, source=None, timeout=10, **options):
        super().__init__(namespace, to, port, source, timeout, **options)
        self.number = 0

    def tag(self):
        self.number += 1
        return f"a{self.number}"

    def tagged(self, tag=None, timeout=None):
        """What comes up to a tagged line (with this tag), as a Said; "+" counts too."""
        before = b""
        while True:
            octets = response(self, timeout)
            word = octets.split(b" ", 1)[0].decode("latin-1")
            if word in ("+", tag) or (tag is None and word != "*"):
                return Said(octets, before)
            before += octets

    def reply(self, timeout=None):
        return self.tagged(None, timeout)

    def greeting(self):
        octets = response(self)
        assert octets.startswith(b"* "), octets
        return octets

    def cmd(self, line, how=WHOLE, timeout=None):
        """Sends one command behind a new tag; what comes up to its reply, or to "+"."""
        tag = self.tag()
        self.send(tag.encode() + b" " + (line.encode() if isinstance(line, str) else line) + b"\r\n", how)
        return self.tagged(tag, timeout)

    def did(self, line, timeout=None):
        """The same of one that must be taken; gives what came before its OK."""
        said = self.cmd(line, timeout=timeout)
        assert said.ok, said
        return said.before

    def login(self, user=USER, password=PASSWORD):
        self.greeting()
        self.did(f"LOGIN {user} {password}")
        return self

    def select(self, mailbox="INBOX"):
        self.did(f"SELECT {mailbox}")
        return self

    def fetch(self, numbers, items, uid=False, timeout=60):
        """The literals that came."""
        return literals(self.did(f"{'UID ' if uid else ''}FETCH {numbers} {items}", timeout))

    def append(self, content, mailbox="INBOX", plus=False, options="", timeout=60):
        """The last reply. plus: without waiting for "+"."""
        tag = self.tag()
        self.send(f"{tag} APPEND {mailbox} {options}{{{len(content)}{'+' if plus else ''}}}\r\n")
        if not plus:
            said = self.tagged(tag)
            if said.tag != "+":
                return said
        self.send(content + b"\r\n")
        return self.tagged(tag, timeout)

    def logout(self):
        said = self.cmd("LOGOUT")
        assert said.ok and b"* BYE" in said.before, said
        self.close()


class FakeImap(FakeServer):
    """
    An IMAP server in a thread that lets everybody in, knows one mailbox, and takes everything.

    messages      what the mailbox holds
    capabilities  what it says in its greeting, after a login, and when asked
    replies       {"SELECT": b"* 1 EXISTS\\r\\n<tag> NO no\\r\\n"}; <tag> is put in; or a function
                  (conversation, line) -> octets or None; "GREETING"
    """

    protocol = "imap"
    CAPABILITIES = "IMAP4rev1 LITERAL+ SASL-IR IDLE ID MOVE UIDPLUS BINARY MULTIAPPEND CATENATE AUTH=PLAIN"

    def __init__(self, namespace, address, port=143, messages=(), capabilities=CAPABILITIES, **options):
        self.messages, self.capabilities = list(messages), capabilities
        self.stored = []  # by APPEND, whose last reply was sent
        super().__init__(namespace, address, port, **options)

    def command(self, c):
        """One whole command with its literals; "+" is said where it is waited for."""
        octets = c.line()
        content = []
        while found := LITERAL.search(octets[-32:]):
            if not found.group(3):
                c.send(b"+ go on\r\n")
            content.append(c.exactly(int(found.group(2))))
            octets += content[-1] + c.line()
        c.commands.append(octets)
        return octets, content

    def answer(self, c, key, line, usual):
        tag = line.split(b" ", 1)[0]
        reply = self.replies.get(key)
        if callable(reply):
            reply = reply(c, line)
        c.send((usual if reply is None else reply).replace(b"<tag>", tag))
        return usual if reply is None else reply

    def fetched(self, line):
        """Whole messages, one by one; a slice where one is asked for."""
        numbers = re.search(rb"FETCH (\S+)", line, re.IGNORECASE).group(1).split(b":")
        last = len(self.messages) if numbers[-1] == b"*" else int(numbers[-1])
        item = re.search(rb"(BODY|BINARY)(\.PEEK)?(\[[^]]*\])(<(\d+)\.(\d+)>)?", line, re.IGNORECASE)
        for i in range(int(numbers[0]), last + 1):
            octets, name = self.messages[i - 1], b"RFC822"
            if item:
                name = item.group(1) + item.group(3)
                if item.group(4):
                    at, n = int(item.group(5)), int(item.group(6))
                    octets, name = octets[at:at + n], name + b"<%d>" % at
            yield b"* %d FETCH (UID %d %s {%d}\r\n%s)\r\n" % (i, i, name, len(octets), octets)

    def usual(self, c, verb, line, content):
        capability = f"* CAPABILITY {self.capabilities}\r\n".encode()
        if verb == "CAPABILITY":
            return capability + b"<tag> OK done\r\n"
        if verb in ("LOGIN", "AUTHENTICATE"):
            return f"<tag> OK [CAPABILITY {self.capabilities}] in\r\n".encode()
        if verb in ("SELECT", "EXAMINE"):
            return (b"* %d EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 1] ok\r\n"
                    b"<tag> OK [READ-WRITE] done\r\n" % len(self.messages))
        if verb in ("FETCH", "UID FETCH"):
            return b"".join(self.fetched(line)) + b"<tag> OK done\r\n"
        if verb in ("APPEND", "MULTIAPPEND"):
            self.stored += content
        if verb == "LOGOUT":
            return b"* BYE\r\n<tag> OK bye\r\n"
        return b"<tag> OK done\r\n"

    def serve(self, c):
        self.answer(c, "GREETING", b"", f"* OK [CAPABILITY {self.capabilities}] fake\r\n".encode())
        verb = ""
        while verb != "LOGOUT":
            line, content = self.command(c)
            words = line.split()
            verb = words[1].upper().decode("latin-1") if len(words) > 1 else ""
            if verb == "UID":
                verb += " " + words[2].upper().decode("latin-1")
            if verb == "IDLE":
                c.send(b"+ idling\r\n")
                self.answer(c, "IDLING", line, b"")
                c.commands.append(c.line())
            elif verb == "AUTHENTICATE" and len(words) == 3:
                c.send(b"+ \r\n")
                c.commands.append(c.line())
            self.answer(c, verb, line, self.usual(c, verb, line, content))
