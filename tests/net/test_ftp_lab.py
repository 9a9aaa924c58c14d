"""
The laboratory of FTP without any gateway: what the other tests prevent or make possible really
happens, or fails, when nobody stands in between.
"""

import socket

import pytest

import lab as L
from ftp_clients import PAIRS, pair_name
from ftp_peers import FtpClient
from ftp_servers import sha256

PAYLOAD = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def open_perimeter(perimeter):
    """The perimeter with nothing in the way."""
    perimeter.no_firewall()
    return perimeter


def direct(lab, server, v6=False, way="EPSV"):
    client = FtpClient(lab.client, server.address6 if v6 else server.address, 21,
                       L.CLIENT6 if v6 else L.CLIENT)
    client.way = way
    return client


@pytest.mark.parametrize("way", ["PORT", "EPRT", "PASV", "EPSV"])
def test_every_server_transfers_without_a_firewall(open_perimeter, ftpd, way):
    ftpd.put("a", PAYLOAD)
    with direct(open_perimeter, ftpd, way=way) as client:
        client.login().binary()
        assert sha256(client.get("RETR a")) == sha256(PAYLOAD)
        assert client.put("STOR b", PAYLOAD).code == 226
        assert b"b" in client.get("NLST").split()
    assert ftpd.read("b") == PAYLOAD


@pytest.mark.parametrize("way", ["EPRT", "EPSV"])
def test_every_server_transfers_by_IPv6(open_perimeter, ftpd, way):
    ftpd.put("a", b"x")
    with direct(open_perimeter, ftpd, True, way) as client:
        client.login().binary()
        assert client.get("RETR a") == b"x"


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_an_active_client_fails_at_a_firewall_that_drops(perimeter, ftpd, v6):
    """The administrator lets control connections through, and knows nothing of data connections."""
    ftpd.put("a", b"x")
    with direct(perimeter, ftpd, v6, "EPRT" if v6 else "PORT") as client:
        client.login().binary()
        listener = client.listen()
        assert client.port(listener).code == 200
        client.send("RETR a\r\n")
        listener.settimeout(1)
        with listener, pytest.raises(socket.timeout):
            listener.accept()


def test_a_passive_client_fails_at_a_firewall_that_drops(perimeter, ftpd):
    with direct(perimeter, ftpd) as client:
        client.login().binary()
        to = client.passive()
        with pytest.raises((TimeoutError, socket.timeout)):
            client.connect(to, timeout=1)


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_every_client_without_a_firewall(open_perimeter, ftp_server, tmp_path, pair):
    program, way = pair
    server = ftp_server("proftpd")
    server.put("down", PAYLOAD)
    (tmp_path / "up").write_bytes(PAYLOAD)
    address = server.address6 if way.v6 else server.address
    told = program.run(open_perimeter, address, way, tmp_path)
    assert (tmp_path / "got").read_bytes() == PAYLOAD, told
    assert server.read("up") == PAYLOAD, told
    assert "down" in told, told
