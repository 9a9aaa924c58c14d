"""Files over 4 GiB up and down, compared by digest: no counter anywhere has 32 bits. Some minutes."""

import hashlib
import os
import random

import pytest

import lab as L
import servers
from ftp_servers import FtpServer
from gateway import Gateway

SIZE = (5 << 30) + 12345
BLOCK = 1 << 20
MARKS = {at: random.Random(at).randbytes(BLOCK) for at in (0, (2 << 30) - 7, (4 << 30) - 7, SIZE - BLOCK)}


@pytest.fixture(scope="module")
def perimeter():
    with L.Perimeter() as one:
        servers.Dns(one)
        yield one


def large_file(path):
    """Holes but for a few blocks, around the borders of 31 and 32 bits; its digest."""
    with open(path, "wb") as f:
        f.truncate(SIZE)
        for at, octets in MARKS.items():
            f.seek(at)
            f.write(octets)
    path.chmod(0o644)
    return digest_of(path)


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def received(stream):
    digest, n = hashlib.sha256(), 0
    buffer = bytearray(BLOCK)
    while got := stream.sock.recv_into(buffer):
        digest.update(memoryview(buffer)[:got])
        n += got
    return digest.hexdigest(), n


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "not"])
@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_five_GiB_up_and_down(perimeter, way, inspect):
    server = perimeter.files = getattr(perimeter, "files", None) or FtpServer(perimeter, "vsftpd")
    server.clear()
    digest = large_file(server.path("down"))
    gate = Gateway(perimeter, server.address, mode="tproxy", protocol="ftp", ftp={"inspect": inspect})
    try:
        with gate.client(timeout=60) as client:
            client.way = way
            client.login().binary()
            data, _ = client.begin("RETR down")
            with data:
                assert received(data) == (digest, SIZE)
            assert client.reply(60).code == 226
            data, _ = client.begin("STOR up")
            with data, open(server.path("down"), "rb") as source:
                data.sock.settimeout(60)
                data.sock.sendfile(source)
            assert client.reply(60).code == 226
            assert client.cmd(f"REST {SIZE - 1000}").code == 350
            assert client.get("RETR down") == MARKS[SIZE - BLOCK][-1000:]
        assert digest_of(server.path("up")) == digest
        records = [gate.record("ftp_data", lambda r, n=n: r["ftp_data"]["filename"] == n)["ftp_data"]
                   for n in ("down", "up")]
        for record in records:
            # what went past the gateway is counted with its headers
            assert SIZE <= record["octets_out"] < SIZE * (1.1 if record.get("let_by") else 1.0000001)
            assert record["outcome"] == "complete"
        if inspect:
            info = gate.record("fileinfo", lambda r: r["fileinfo"]["filename"] == "up")["fileinfo"]
            assert (info["size"], info["sha256"]) == (SIZE, digest)
    finally:
        gate.stop()
        os.unlink(server.path("down"))
