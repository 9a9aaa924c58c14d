"""The scripted FTP peers of ftp_peers.py under TLS: control and data, each end of which says close_notify."""

import select
import socket
import ssl

from ftp_peers import FakeFtp, FtpClient
from ftp_servers import PASSWORD, USER
from peers import Stream
from tls_peers import Ending, Upgrading, client_context, starttls_reply


class TlsData(Ending, Stream):
    """A data connection that goes into TLS, and ends well when it is closed."""

    def finish(self):
        """close_notify, and no FIN."""
        if self.sock.fileno() < 0:
            return
        select.select([], [self.sock], [], 10)  # room for the last record
        self.sock.settimeout(0)
        try:
            self.sock.unwrap()
        except (ssl.SSLError, OSError):
            pass

    def close(self):
        self.finish()
        super().close()

    def cut(self):
        """A FIN, and no close_notify."""
        self.sock.shutdown(socket.SHUT_WR)  # SSLSocket forgets its TLS with that
        super().close()


class Unshaken(Exception):
    """A data connection did not come into TLS."""


def in_tls(data, context, **options):
    data.__class__ = TlsData
    data.wrap_with(context, **options)
    return data


class TlsFtpClient(Upgrading, FtpClient):
    """
    An FTP client whose login goes through AUTH TLS, and whose transfers are under TLS.

    level     of PROT
    resumes   data connections resume the session of the control connection
    """

    level, resumes = "P", True

    def auth(self):
        answer = self.cmd("AUTH TLS")
        assert answer.code == 234, answer
        self.context = self.context or client_context()
        self.wrap(self.context)

    def login(self, user=USER, password=PASSWORD):
        greeting = self.reply()
        assert greeting.code == 220, greeting
        self.auth()
        answer = self.cmd(f"USER {user}")
        if answer.code == 331:
            answer = self.cmd(f"PASS {password}")
        assert answer.code == 230, answer
        assert self.cmd("PBSZ 0").code == 200
        assert self.cmd(f"PROT {self.level}").code == 200
        return self

    def protect(self, data):
        if self.level != "P":
            return data
        return in_tls(data, self.context, session=self.sock.session if self.resumes else None)

    def begin(self, command, expect=(125, 150)):
        data, answer = super().begin(command, expect)
        return self.protect(data), answer


class TlsFtp(FakeFtp):
    """
    A FakeFtp that has AUTH TLS; what it keeps of a dialogue begins inside.

    certificate        of the control connection
    data_certificate   of data connections, if it is another one
    """

    def __init__(self, namespace, address, certificate, replies=None, data_certificate=None, version=None,
                 **options):
        self.context = certificate.server_context(version)
        self.data_context = data_certificate.server_context(version) if data_certificate else self.context
        self.resumed = []  # of data connections, in their order
        super().__init__(namespace, address, replies={"AUTH": self._auth, **(replies or {})}, **options)

    ORDINARY = {**FakeFtp.ORDINARY, "PBSZ": b"200 PBSZ=0\r\n"}

    def _auth(self, conversation, line):
        starttls_reply(self.context, b"234 go on\r\n")(conversation, line)
        conversation.protected = False
        conversation.forget()
        return b""

    def _do_prot(self, c, line, level):
        if self.answer(c, "PROT", line, b"200 ok\r\n")[:1] == b"2":
            c.protected = level.upper() == "P"

    def _data(self, c):
        data = super()._data(c)
        if getattr(c, "protected", False):
            try:
                in_tls(data, self.data_context, server_side=True)
            except OSError:
                data.close()
                raise Unshaken from None
            self.resumed.append(data.sock.session_reused)
        return data

    def has_whole(self, name):
        """A reset right behind a handshake reads as an end: of nothing, which is then none."""
        return super().has_whole(name) and self.files[name] != b""

    def _transfer(self, c, verb, line, name, octets=None):
        try:
            super()._transfer(c, verb, line, name, octets)
        except Unshaken:
            self.answer(c, "done", line, b"426 no TLS\r\n")
