"""
FTP under TLS: AUTH TLS, and TLS from the first octet on, both legs, control and data, before real servers
of which vsftpd and ProFTPD demand that data connections resume their session, for real clients. SECURITY
cases F-027 to F-036, N-004; FIELD rows F16 to F20.
"""

import ftplib
import os
import ssl

import pytest

import lab as L
from ftp_clients import ACTIVE, PASSIVE, host
from ftp_servers import PASSWORD, USER, sha256
from lab import wait_for
from tls_peers import VERSIONS, client_context

MODES = ["tproxy"]
PAYLOAD = os.urandom(1 << 20)


@pytest.fixture
def tls_gateway(ftp_gateway, ours):
    """A gateway that has a certificate for every server inside."""

    def start(to, ftp=None, **settings):
        return ftp_gateway(to, ftp={"tls_ports": [990], **(ftp or {})}, certificate={"ours": ours.section},
                           **settings)

    return start


class Resuming(ftplib.FTP_TLS):
    """As FileZilla and others: data connections resume the session of the control connection."""

    resumed = None

    def ntransfercmd(self, command, rest=None):
        sock, size = ftplib.FTP.ntransfercmd(self, command, rest)
        if self._prot_p:
            sock = self.context.wrap_socket(sock, server_hostname=self.host, session=self.sock.session)
            self.resumed = sock.session_reused
        return sock, size


def open_tls(address, ours, version=None, kind=Resuming):
    context = client_context(version, ours)
    context.check_hostname = False
    client = kind(context=context, timeout=10)
    client.connect(address, 21)
    client.login(USER, PASSWORD)
    return client


def records_of(gate, n):
    def files():
        return [r for r in gate.records("ftp_data") if r["ftp_data"]["command"] in ("RETR", "STOR")]

    wait_for(lambda: len(files()) >= n, what=f"the records of {n} files")
    return files()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", [PASSIVE, ACTIVE], ids=str)
def test_files_go_both_ways_under_TLS_F_027_F_030_F_031(perimeter, ftpd, tls_gateway, ours, version, way):
    """Ten transfers in a row: each resumes, on both legs."""
    gate = tls_gateway(ftpd)
    ftpd.put("down", PAYLOAD)

    def work():
        got = []
        with open_tls(ftpd.address, ours, version) as client:
            client.prot_p()
            client.set_pasv(not way.active)
            for i in range(5):
                octets = bytearray()
                client.retrbinary("RETR down", octets.extend)
                got.append(sha256(octets))
                assert client.resumed
                with open("/dev/zero", "rb") as zeros:
                    client.storbinary(f"STOR up{i}", _First(zeros, 70_000 + i))
        return got

    got = perimeter.client.call(work)
    assert got == [sha256(PAYLOAD)] * 5
    for i in range(5):
        assert ftpd.read(f"up{i}") == bytes(70_000 + i)
    for record in records_of(gate, 10):
        data = record["ftp_data"]
        assert data["outcome"] == "complete", data
        assert data["server"]["tls"] == {"version": "TLSv1.3", "session_resumed": ftpd.resumes}, data
        assert data["client"]["tls"] == {"version": f"TLSv{version}", "session_resumed": True}, data
    assert gate.records("tls")[0]["tls"]["action"] == "intercepted"


class _First:
    """The first n octets of a file."""

    def __init__(self, file, n):
        self.file, self.left = file, n

    def read(self, n):
        octets = self.file.read(min(n, self.left))
        self.left -= len(octets)
        return octets
