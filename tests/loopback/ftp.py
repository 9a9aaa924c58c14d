"""A scripted FTP server on loopback, beside dialogue.py's client."""

import contextlib
import socket
import threading

from dialogue import TIMEOUT, Client, Server

SYNCH = b"\xff\xf4\xff\xf2"  # IAC IP, IAC DM


class FtpServer(Server):
    """
    An FTP server at an address of its own, passive only. It accepts everything, but where replies has
    something else: a verb ("GREETING", "PASV", ...) to octets, to a list of octets used up in turn, or
    to None: close; what a function gives that is called with the session; a reply in pieces is a tuple.

    files    by name: what RETR sends; uploads come to stored
    """

    def __init__(self, address, replies=None, files=None, keep=True):
        self.address = address
        self.files = files or {}
        self.stored = {}
        self.data_peers = []  # (address, port) of who came for data
        super().__init__(replies=replies, keep=keep)

    def listen(self):
        listener = socket.create_server((self.address, 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)  # inherited: DM is urgent
        return listener

    def default(self, verb):
        lines = {
            "GREETING": "220 files.example", "USER": "331 password", "PASS": "230 in", "PWD": '257 "/"',
            "QUIT": "221 bye", "SIZE": "550 no such file", "SYST": "215 UNIX Type: L8", "REST": "350 go on",
            "RNFR": "350 go on", "ABOR": "225 nothing to abort", "AUTH": "502 no", "FEAT": "211 none",
            "CWD": "250 ok", "CDUP": "250 ok", "DELE": "250 ok", "MKD": '257 "x" made', "NOOP": "200 ok"}
        return lines.get(verb, "200 ok").encode() + b"\r\n"

    def say(self, session, verb):
        reply = self.replies.get(verb, None)
        if callable(reply):
            reply = reply(session)
        elif verb not in self.replies:
            reply = self.default(verb)
        elif isinstance(reply, list):
            reply = reply.pop(0) if reply else self.default(verb)
        if reply is None:
            return None
        for piece in reply if isinstance(reply, tuple) else (reply,):
            session.sock.sendall(piece)
            threading.Event().wait(0.05 if isinstance(reply, tuple) else 0)
        return True

    def open(self, session):
        """A data listener for the session's next transfer; its port."""
        if getattr(session, "passive", None):
            session.passive.close()
        session.passive = socket.create_server((self.address, 0))
        session.passive.settimeout(TIMEOUT)
        return session.passive.getsockname()[1]

    def told(self, session, address=None):
        """227 for a new listener; address: another one than ours."""
        port = self.open(session)
        numbers = (address or self.address).split(".") + [str(port >> 8), str(port & 255)]
        return f"227 Entering Passive Mode ({','.join(numbers)})\r\n".encode()

    def transfer(self, session, verb, name):
        listener = getattr(session, "passive", None)
        if listener is None:
            return session.sock.sendall(b"425 no data connection\r\n")
        if verb == "RETR" and name not in self.files:
            return session.sock.sendall(b"550 no such file\r\n")
        session.sock.sendall(b"150 here it comes\r\n")
        with listener:
            sock, peer = listener.accept()
        session.passive = None
        self.data_peers.append(peer)
        sock.settimeout(TIMEOUT)
        with sock:
            if verb in ("STOR", "APPE"):
                self.stored[name] = b"".join(iter(lambda: sock.recv(65536), b""))
            else:
                sock.sendall(self.files.get(name, b"a listing\r\n"))
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)
        return session.sock.sendall(b"226 done\r\n")

    def talk(self, session):
        if self.say(session, "GREETING") is None:
            return
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: getattr(session, "passive", None) and session.passive.close())
            while True:
                line = bytes(session.until(b"\r\n")[:-2])
                line = line[4:] if line.startswith(SYNCH) else line
                session.commands.append(line)
                word, _, args = line.partition(b" ")
                verb = word.decode("latin-1").upper()
                if verb in self.replies:
                    alive = self.say(session, verb)
                elif verb == "EPSV":
                    port = self.open(session)
                    alive = session.sock.sendall(f"229 go (|||{port}|)\r\n".encode()) is None
                elif verb == "PASV":
                    alive = session.sock.sendall(self.told(session)) is None
                elif verb in ("RETR", "STOR", "APPE", "LIST"):
                    alive = self.transfer(session, verb, args) is None
                else:
                    alive = self.say(session, verb)
                if alive is None or verb == "QUIT":
                    return


class FtpClient(Client):
    """Client, for free reply lines, and with data connections."""

    def reply(self):
        """The next reply as (code, octets), None at the end: it ends as RFC 959 s4.2 has it."""
        octets = line = self.line()
        if line is None:
            return None
        code = line[:3]
        while line[3:4] == b"-" or not line.startswith(code + b" "):
            line = self.line()
            assert line is not None, f"half a reply: {octets!r}"
            octets += line
            if line.startswith(code + b" "):
                break
        self.replies.append((int(code), octets))
        return self.replies[-1]

    def line(self):
        while b"\r\n" not in self.waiting:
            if not self.fill():
                assert not self.waiting, f"half a line: {self.waiting!r}"
                return None
        line, _, self.waiting = self.waiting.partition(b"\r\n")
        return line + b"\r\n"

    def ask(self, line):
        self.send(line + b"\r\n")
        return self.reply()

    def code(self, line):
        """Asks; the code, None when the session is over."""
        reply = self.ask(line)
        return reply and reply[0]

    def login(self):
        assert self.reply()[0] == 220
        assert self.code(b"USER anonymous") == 331
        assert self.code(b"PASS guest@") == 230
        return self

    def passive(self):
        """A data connection by EPSV."""
        code, text = self.ask(b"EPSV")
        assert code == 229, text
        port = int(text.rsplit(b"(|||", 1)[1].split(b"|")[0])
        return socket.create_connection((self.sock.getpeername()[0], port), TIMEOUT,
                                        source_address=(self.sock.getsockname()[0], 0))

    def get(self, command):
        """A download: its octets."""
        with self.passive() as data:
            code, text = self.ask(command)
            assert code == 150, text
            octets = b"".join(iter(lambda: data.recv(65536), b""))
        code, text = self.reply()
        assert code == 226, text
        return octets
