"""Scripted FTP peers: a client and a server that say exactly what they are told, with data connections."""

import contextlib
import re
import socket
import threading

import lab as L
from ftp_servers import PASSWORD, USER
from peers import Closed, FakeServer, RawClient, Stream


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def data_listener(namespace, address, port=0):
    listener = namespace.tcp(family_of(address))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(8)
    listener.settimeout(10)
    return listener


def taken(listener):
    """The connection that comes to a data_listener, as a Stream with its peer; the listener closes."""
    with listener:
        sock, peer = listener.accept()
    stream = Stream(sock, 20)
    stream.peer = peer[:2]
    return stream


def host_port(address, port):
    """As PORT and 227 write it."""
    return ",".join([*address.split("."), str(port >> 8), str(port & 255)])


def endpoint_of(text):
    """(address, port) of "h1,h2,h3,h4,p1,p2" somewhere in text."""
    h = list(map(int, re.search(r"\d+(,\d+){5}", text).group().split(",")))
    return ".".join(map(str, h[:4])), h[4] * 256 + h[5]


class FtpClient(RawClient):
    """
    An FTP client that does only what it is told.

    way   how data connections are made by transfer(): "PORT", "EPRT", "PASV", "EPSV"
    """

    def __init__(self, namespace, to, port=21, source=None, timeout=10, **options):
        super().__init__(namespace, to, port, source, timeout, **options)
        self.namespace, self.to = namespace, to
        self.here = self.sock.getsockname()[0]
        self.way = "EPSV"

    def reply(self, timeout=None):
        """RFC 959 s4.2: a reply of many lines ends with its own code and a blank."""
        octets = line = self.line(timeout)
        if line[3:4] == b"-":
            end = line[:3] + b" "
            while not line.startswith(end):
                line = self.line(timeout)
                octets += line
        return RawReply(octets)

    def login(self, user=USER, password=PASSWORD):
        greeting = self.reply()
        assert greeting.code == 220, greeting
        answer = self.cmd(f"USER {user}")
        if answer.code == 331:
            answer = self.cmd(f"PASS {password}")
        assert answer.code == 230, answer
        return self

    def binary(self):
        assert self.cmd("TYPE I").code == 200
        return self

    # ---- data connections ----

    def listen(self, address=None, port=0):
        return data_listener(self.namespace, address or self.here, port)

    def port(self, listener):
        """PORT, or EPRT, for a listener; the reply."""
        address, port = listener.getsockname()[:2]
        if self.way == "EPRT" or ":" in address:
            return self.cmd(f"EPRT |{2 if ':' in address else 1}|{address}|{port}|")
        return self.cmd("PORT " + host_port(address, port))

    def passive(self):
        """PASV or EPSV; (address, port) as told."""
        answer = self.cmd(self.way)
        assert answer.code == (227 if self.way == "PASV" else 229), answer
        if self.way == "PASV":
            return endpoint_of(answer.text[4:])
        return self.to, int(re.search(r"\((.)\1\1(\d+)\1\)", answer.text).group(2))

    def connect(self, to, source=None, timeout=10, source_port=0, receive_buffer=None):
        """A data connection, from the control connection's own address unless told otherwise."""
        sock = self.namespace.tcp(family_of(to[0]))
        try:
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((source or self.here, source_port))
            sock.settimeout(timeout)
            sock.connect(to)
        except BaseException:
            sock.close()
            raise
        return Stream(sock, 20)

    def begin(self, command, expect=(125, 150)):
        """Agrees on a data connection and gives the command; (data connection, 1xx reply)."""
        if self.way in ("PORT", "EPRT"):
            listener = self.listen()
            answer = self.port(listener)
            assert answer.code == 200, answer
            answer = self.cmd(command)
            if answer.code not in expect:
                listener.close()
                raise Refused(answer)
            return taken(listener), answer
        data = self.connect(self.passive())
        answer = self.cmd(command)
        if answer.code not in expect:
            data.close()
            raise Refused(answer)
        return data, answer

    def get(self, command, timeout=20):
        """A download or listing: its octets; the last reply must be 2xx."""
        data, _ = self.begin(command)
        with data:
            octets = data.rest(timeout)
        answer = self.reply(timeout)
        assert answer.code in (226, 250), answer
        return octets

    def put(self, command, octets, timeout=20):
        """An upload; its last reply."""
        data, _ = self.begin(command)
        with data:
            data.send(octets)
        return self.reply(timeout)

    def quit(self):
        assert self.cmd("QUIT").code == 221
        self.close()


class RawReply:
    """All lines of a reply, and its code."""

    def __init__(self, octets):
        self.octets = octets
        self.text = octets.decode("utf-8", "replace").rstrip("\r\n")
        self.lines = self.text.split("\r\n")
        self.code = int(octets[:3]) if octets[:3].isdigit() else None

    def __repr__(self):
        return f"<{self.text}>"


class Refused(Exception):
    """The command of a transfer was refused; .reply says how."""

    def __init__(self, reply):
        super().__init__(reply.text)
        self.reply = reply


FEATURES = ("EPRT", "EPSV", "MDTM", "MLST type*;size*;modify*;", "PASV", "REST STREAM", "SIZE",
            "TVFS", "UTF8", "AUTH TLS", "PBSZ", "PROT")


class FakeFtp(FakeServer):
    """
    An FTP server in a thread, lenient on purpose: it takes every address and every name, so that
    what stops something can only be the gateway.

    files      {name: octets}: what RETR gives; what STOR brought is there afterwards
    whole      names of uploads that ended by FIN: what a server takes for a whole file
    replies    {"PASV": b"502 no\\r\\n"} or a function (conversation, line) -> octets or None; None:
               the ordinary answer. "GREETING"; "done" for the last reply of a transfer
    transfer   function (conversation, data, verb, name) in the place of the ordinary sending or
               taking; what it gives is the last reply, None: the ordinary one
    passive    function (conversation, listener) -> (address, port) that 227 tells
    data_port  where it waits for data connections; 0: any
    """

    protocol = "ftp"

    def __init__(self, namespace, address, port=21, files=None, replies=None, transfer=None,
                 passive=None, data_port=0, features=FEATURES, **options):
        self.namespace, self.data_port = namespace, data_port
        self.files, self.whole = dict(files or {}), set()
        self.transfer, self.passive, self.features = transfer, passive, features
        self.data_peers = []  # (address, port) of the other end of each data connection
        super().__init__(namespace, address, port, replies=replies, **options)

    def _run(self, conversation):
        conversation.way = conversation.listener = None
        conversation.restart = 0
        conversation.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        try:
            super()._run(conversation)
        finally:
            if conversation.listener:
                conversation.listener.close()

    def serve(self, c):
        self.answer(c, "GREETING", b"", b"220 fake files\r\n")
        while True:
            line = c.command()
            words = re.sub(rb"^(\xff[\xf0-\xfe])+", b"", line.rstrip(b"\r\n")).split(b" ", 1)
            verb = words[0].upper().decode("latin-1")
            argument = words[1].decode("utf-8", "surrogateescape") if len(words) > 1 else ""
            serve = getattr(self, "_do_" + verb.lower(), None)
            if serve:
                serve(c, line, argument)
            else:
                self.answer(c, verb, line, self.ORDINARY.get(verb, b"502 what?\r\n"))
            if verb == "QUIT":
                return

    ORDINARY = {
        "USER": b"331 go on\r\n", "PASS": b"230 in\r\n", "TYPE": b"200 ok\r\n", "NOOP": b"200 ok\r\n",
        "CWD": b"250 ok\r\n", "CDUP": b"250 ok\r\n", "PWD": b'257 "/" is here\r\n',
        "QUIT": b"221 bye\r\n", "SYST": b"215 UNIX Type: L8\r\n", "ABOR": b"226 nothing to abort\r\n",
        "OPTS": b"200 ok\r\n", "ALLO": b"202 no need\r\n", "STRU": b"200 ok\r\n", "MODE": b"200 ok\r\n",
        "SITE": b"200 ok\r\n", "MKD": b'257 "x" made\r\n', "RMD": b"250 gone\r\n",
        "AUTH": b"234 go on\r\n", "STAT": b"211 fine\r\n", "HOST": b"220 ok\r\n",
        "RNFR": b"350 go on\r\n", "RNTO": b"250 ok\r\n",
        "ACCT": b"230 ok\r\n", "CLNT": b"200 ok\r\n",
    }

    def _do_feat(self, c, line, _):
        text = "211-Features:\r\n" + "".join(f" {f}\r\n" for f in self.features) + "211 End\r\n"
        self.answer(c, "FEAT", line, text.encode())

    def _do_rest(self, c, line, argument):
        if self.answer(c, "REST", line, b"350 go on\r\n")[:1] == b"3":
            c.restart = int(argument)

    def _do_size(self, c, line, name):
        usual = f"213 {len(self.files[name])}\r\n" if name in self.files else "550 no such file\r\n"
        self.answer(c, "SIZE", line, usual.encode())

    def _do_mdtm(self, c, line, name):
        usual = b"213 20260101000000\r\n" if name in self.files else b"550 no such file\r\n"
        self.answer(c, "MDTM", line, usual)

    def _do_mlst(self, c, line, name):
        usual = f"250-about it\r\n type=file; {name}\r\n250 end\r\n" if name in self.files \
            else "550 no such file\r\n"
        self.answer(c, "MLST", line, usual.encode())

    def _do_dele(self, c, line, name):
        usual = b"250 gone\r\n" if name in self.files else b"550 no such file\r\n"
        if self.answer(c, "DELE", line, usual)[:1] == b"2":
            self.files.pop(name, None)

    # ---- data connections ----

    def _do_pasv(self, c, line, _):
        self._listen(c, "PASV", line, lambda to: f"227 Entering Passive Mode ({host_port(*to)}).\r\n")

    def _do_epsv(self, c, line, _):
        self._listen(c, "EPSV", line, lambda to: f"229 Extended Passive Mode (|||{to[1]}|)\r\n")

    def _listen(self, c, verb, line, text):
        self._forget(c)
        address = c.sock.getsockname()[0]
        listener = data_listener(self.namespace, address, self.data_port)
        to = self.passive(c, listener) if self.passive else listener.getsockname()[:2]
        usual = text(to).encode() if verb == "EPSV" or ":" not in to[0] else b"425 no IPv4\r\n"
        if self.answer(c, verb, line, usual)[:1] == b"2":
            c.way, c.listener = verb, listener
        else:
            listener.close()

    def _do_port(self, c, line, argument):
        self._active(c, "PORT", line, lambda: endpoint_of(argument))

    def _do_eprt(self, c, line, argument):
        def read():
            _, _, address, port, _ = argument.split(argument[0])
            return address, int(port)

        self._active(c, "EPRT", line, read)

    def _active(self, c, verb, line, read):
        self._forget(c)
        if self.answer(c, verb, line, b"200 ok\r\n")[:1] == b"2":
            c.way, c.to = verb, read()

    @staticmethod
    def _forget(c):
        if c.listener:
            c.listener.close()
        c.way = c.listener = None

    def _data(self, c):
        if c.listener:
            listener, c.listener = c.listener, None
            data = taken(listener)
        else:
            sock = self.namespace.tcp(family_of(c.to[0]))
            sock.settimeout(10)
            sock.bind((c.sock.getsockname()[0], 0))
            sock.connect(c.to)
            data = Stream(sock, 20)
            data.peer = c.to
        c.way = None
        self.data_peers.append(data.peer)
        return data

    def _transfer(self, c, verb, line, name, octets=None):
        """octets: what goes to the client; None: something comes."""
        if not c.way:
            self.answer(c, "425", line, b"425 no data connection\r\n")
            return
        restart, c.restart = c.restart, 0
        transfer = self.transfer  # a test may set the next one as soon as it has the 150
        if self.answer(c, verb, line, b"150 here it comes\r\n")[:1] != b"1":
            self._forget(c)
            return
        done = None
        with self._data(c) as data:
            c.data = data
            if transfer:
                done = transfer(c, data, verb, name)
            elif octets is not None:
                try:
                    data.send(octets[restart:])
                except (Closed, OSError):  # reset before it came
                    done = b"426 broken\r\n"
            elif self._take(data, name, restart if verb == "STOR" else None, verb):
                self.whole.add(name)
            else:
                done = b"426 broken\r\n"
        self.answer(c, "done", line, done or b"226 done\r\n")

    def has_whole(self, name):
        """An upload of that name ended as a whole file does."""
        return name in self.whole

    def _take(self, data, name, restart, verb):
        """True: it ended as a whole file does."""
        before = self.files.get(name, b"") if verb == "APPE" else self.files.get(name, b"")[:restart or 0]
        self.files[name] = before
        while True:
            try:
                more = data.sock.recv(1 << 16)
            except OSError:
                return False
            if not more:
                return True
            self.files[name] += more

    def _do_retr(self, c, line, name):
        if name not in self.files and not self.transfer:
            self.answer(c, "550", line, b"550 no such file\r\n")
            return
        self._transfer(c, "RETR", line, name, self.files.get(name, b""))

    def _do_stor(self, c, line, name):
        self._transfer(c, "STOR", line, name)

    def _do_appe(self, c, line, name):
        self._transfer(c, "APPE", line, name)

    def _do_stou(self, c, line, _):
        name = f"unique.{len(self.files)}"
        if not c.way:
            self.answer(c, "425", line, b"425 no data connection\r\n")
            return
        self.answer(c, "STOU", line, f"150 FILE: {name}\r\n".encode())
        with self._data(c) as data:
            whole = self._take(data, name, 0, "STOR")
        if whole:
            self.whole.add(name)
        self.answer(c, "done", line, b"226 done\r\n" if whole else b"426 broken\r\n")

    def _listing(self, c, verb, line):
        text = "".join(f"{name}\r\n" for name in sorted(self.files))
        self._transfer(c, verb, line, "", text.encode())

    def _do_list(self, c, line, _):
        self._listing(c, "LIST", line)

    def _do_nlst(self, c, line, _):
        self._listing(c, "NLST", line)

    def _do_mlsd(self, c, line, _):
        self._listing(c, "MLSD", line)


@contextlib.contextmanager
def in_background(function):
    """Runs function in a thread while the block runs; its error is the block's."""
    errors = []

    def run():
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()
    if errors:
        raise errors[0]
