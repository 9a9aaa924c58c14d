"""
Transfers of every kind between a scripted client and real servers: sizes, resumption, listings,
ABOR, many at once. SECURITY cases F-018, F-020, F-021, F-024, F-044; FIELD rows F2 to F7, F10, F11.
"""

import contextlib
import random
import socket
import threading

import pytest

import lab as L
from ftp_peers import Refused
from ftp_servers import sha256
from lab import wait_for

MODES = ["tproxy", "forward"]  # redirect too where addresses and ports differ there
WAYS = ["PORT", "EPRT", "PASV", "EPSV"]
NAMES = ["vsftpd", "pureftpd", "proftpd"]
SIZES = (0, 1, 1 << 20)


def octets(n, seed=1):
    return random.Random(seed).randbytes(n)


def opened(gate, way, v6=False, **options):
    """A client that has logged in, and will make its data connections so."""
    client = gate.client(v6=v6, **options)
    client.way = way
    return client.login().binary()


def all_sizes(client, server):
    """Each size up, down, and what is listed, in one session."""
    for n in SIZES:
        sent = octets(n, n)
        assert client.put(f"STOR up.{n}", sent).code == 226
        assert server.read(f"up.{n}") == sent
        assert sha256(client.get(f"RETR up.{n}")) == sha256(sent)
    names = sorted(client.get("NLST").split())
    assert [n for n in names if n.startswith(b"up.")] == [b"up.0", b"up.1", b"up.1048576"]
    assert client.get("LIST").count(b"up.") == 3


@pytest.mark.parametrize("mode", ["tproxy"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("server_data", ["passive", "same"])
@pytest.mark.parametrize("way", WAYS)
def test_up_and_down_F2_F3_F4(ftp_server, ftp_gateway, mode, name, server_data, way):
    server = ftp_server(name)
    gate = ftp_gateway(server, ftp={"server_data": server_data})
    with opened(gate, way) as client:
        all_sizes(client, server)
        client.quit()


@pytest.mark.parametrize("mode", ["redirect", "forward"])
@pytest.mark.parametrize("server_data", ["passive", "same"])
@pytest.mark.parametrize("way", WAYS)
def test_up_and_down_in_other_modes_F2_F3_F4(ftp_server, ftp_gateway, mode, server_data, way):
    server = ftp_server(NAMES[WAYS.index(way) % 3])
    gate = ftp_gateway(server, ftp={"server_data": server_data})
    with opened(gate, way) as client:
        all_sizes(client, server)
        client.quit()


@pytest.mark.parametrize("mode", ["tproxy", "redirect", "forward"])
@pytest.mark.parametrize("server_data", ["passive", "same"])
@pytest.mark.parametrize("way", ["EPRT", "EPSV"])
def test_up_and_down_by_IPv6_F6(ftp_server, ftp_gateway, mode, server_data, way):
    server = ftp_server("proftpd" if way == "EPRT" else "pureftpd")
    gate = ftp_gateway(server, ftp={"server_data": server_data})
    with opened(gate, way, v6=True) as client:
        all_sizes(client, server)


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("server_data", ["passive", "same"])
@pytest.mark.parametrize("v6,way", [*((False, way) for way in WAYS), (True, "EPRT"), (True, "EPSV")])
def test_between_families_F7(ftp_server, ftp_gateway, mode, v6, way, server_data):
    """IPv4 clients of an IPv6 server and the reverse; neither side needs to know."""
    server = ftp_server("proftpd")
    gate = ftp_gateway((server.address6, 21), to6=(server.address, 21), protocol="ftp",
                       ftp={"server_data": server_data})
    with opened(gate, way, v6=v6) as client:
        all_sizes(client, server)


@pytest.mark.parametrize("mode", ["tproxy"])
def test_an_active_client_is_called_from_the_servers_port_20_F_044_F10(vsftpd, ftp_gateway, mode):
    vsftpd.put("a", b"hello")
    gate = ftp_gateway(vsftpd)
    with opened(gate, "PORT") as client:
        data, _ = client.begin("RETR a")
        assert data.peer == (vsftpd.address, 20)
        assert data.rest() == b"hello"
        assert client.reply().code == 226


@pytest.mark.parametrize("mode", ["redirect", "forward"])
def test_an_active_client_is_called_from_the_gateway(vsftpd, ftp_gateway, mode):
    vsftpd.put("a", b"hello")
    gate = ftp_gateway(vsftpd)
    with opened(gate, "PORT") as client:
        data, _ = client.begin("RETR a")
        assert data.peer[0] == L.GATEWAY
        assert data.rest() == b"hello"


@pytest.mark.parametrize("mode", ["forward"])
def test_data_ports_of_our_own_come_from_the_range_F11(vsftpd, ftp_gateway, mode):
    gate = ftp_gateway(vsftpd, ftp={"data_ports_from": 40100, "data_ports_to": 40103})
    with opened(gate, "PASV") as client:
        for i in range(12):  # each port is free again when its transfer is over
            client.way = WAYS[2 + i % 2]
            address, port = client.passive()
            assert address == L.GATEWAY and 40100 <= port <= 40103
            with client.connect((address, port)) as data:
                assert client.cmd("LIST").code in (125, 150)
                data.rest()
            assert client.reply().code == 226


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_a_passive_client_is_told_the_servers_own_address(vsftpd, ftp_gateway, mode):
    gate = ftp_gateway(vsftpd)
    with opened(gate, "PASV") as client:
        assert client.passive()[0] == vsftpd.address


# ---- commands of transfers ----


@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_resumed_download_F_021_F28(ftpd, ftp_gateway, way):
    whole = ftpd.put("a", octets(300_000))
    gate = ftp_gateway(ftpd)
    with opened(gate, way) as client:
        assert client.cmd("REST 123456").code == 350
        assert client.get("RETR a") == whole[123456:]
        assert client.get("RETR a") == whole  # for one transfer only
    record = gate.record("ftp_data", lambda r: r["ftp_data"].get("offset"))
    assert record["ftp_data"]["offset"] == 123456


def test_REST_is_of_the_next_file_F_021_F28(ftpd, ftp_gateway):
    """Servers keep it over a listing, and over a RETR that they never heard of; so do the records."""
    whole = ftpd.put("a", octets(30_000))
    gate = ftp_gateway(ftpd)
    with opened(gate, "PASV") as client:
        assert client.cmd("REST 12345").code == 350
        assert client.cmd("RETR a").code == 425
        client.get("LIST")
        assert client.get("RETR a") == whole[12345:]
    record = gate.record("ftp_data", lambda r: r["ftp_data"]["command"] == "RETR")
    assert record["ftp_data"]["offset"] == 12345


@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_resumed_upload_F_021_F28(ftpd, ftp_gateway, way):
    whole = octets(300_000)
    ftpd.put("a", whole[:100_000])
    gate = ftp_gateway(ftpd)
    with opened(gate, way) as client:
        assert client.cmd("REST 100000").code == 350
        assert client.put("STOR a", whole[100_000:]).code == 226
    assert ftpd.read("a") == whole


@pytest.mark.parametrize("way", ["EPRT", "PASV"])
def test_append_and_unique_names_F_021(ftpd, ftp_gateway, way):
    ftpd.put("a", b"one")
    gate = ftp_gateway(ftpd)
    with opened(gate, way) as client:
        assert client.put("APPE a", b"two").code == 226
        assert ftpd.read("a") == b"onetwo"
        before = set(ftpd.names())
        # its name is in the 1xx, or in the last reply
        data, first = client.begin("STOU" if ftpd.name != "vsftpd" else "STOU u")
        with data:
            data.send(b"three")
        last = client.reply()
        assert last.code == 226
        made, = set(ftpd.names()) - before
        assert ftpd.read(made) == b"three"
    assert made in first.text + last.text
    record = gate.record("ftp_data", lambda r: r["ftp_data"]["command"] == "STOU")
    assert record["ftp_data"]["filename"] == made


@pytest.mark.parametrize("way", ["PORT", "PASV"])
def test_text_in_ascii_F_024(ftpd, ftp_gateway, way):
    """Octets go as they are on the wire; line ends are a matter of the two peers."""
    ftpd.put("a", b"one\ntwo\n")
    gate = ftp_gateway(ftpd)
    with opened(gate, way) as client:
        assert client.cmd("TYPE A").code == 200
        assert client.get("RETR a") == b"one\r\ntwo\r\n"
        assert client.put("STOR b", b"three\r\nfour\r\n").code == 226
    assert ftpd.read("b") in (b"three\nfour\n", b"three\r\nfour\r\n")  # Pure-FTPd keeps CR
    record = gate.record("ftp_data", lambda r: r["ftp_data"]["command"] == "RETR")
    assert (record["ftp_data"]["type"], record["ftp_data"]["octets_out"]) == ("A", 10)


def test_listings_of_every_kind(ftp_server, ftp_gateway):
    server = ftp_server("proftpd")
    for i in range(500):
        server.put(f"file-{i:04}", b"")
    gate = ftp_gateway(server)
    for way in ("EPRT", "EPSV"):
        with opened(gate, way) as client:
            for verb in ("LIST", "NLST", "MLSD"):
                assert client.get(verb).count(b"file-") == 500
            assert client.get("MLSD incoming").count(b"\r\n") == 2  # itself and its parent
            assert client.get("NLST file-000*").count(b"file-") == 10


@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_a_transfer_that_the_server_refuses(ftpd, ftp_gateway, way):
    ftpd.put("a", b"there")
    gate = ftp_gateway(ftpd)
    with opened(gate, way) as client:
        with pytest.raises(Refused) as refused:
            client.begin("RETR no-such-file")
        assert refused.value.reply.code == 550
        with pytest.raises(Refused) as refused:
            client.begin("STOR no/such/folder/a")
        assert refused.value.reply.code in (550, 553)
        assert client.get("RETR a") == b"there"


def test_a_transfer_without_PORT_or_PASV(vsftpd, ftp_gateway):
    gate = ftp_gateway(vsftpd)
    with opened(gate, "EPSV") as client:
        assert client.cmd("LIST").code == 425
        client.get("LIST")
        assert client.cmd("LIST").code == 425  # what was agreed is for one transfer
    gate.anomaly("file_before_port")


@pytest.mark.parametrize("synch", [False, True], ids=["plain", "synch"])
@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_abort_of_a_download_F_018_F_020(ftpd, ftp_gateway, way, synch):
    ftpd.put("big", octets(1 << 20) * 64)
    ftpd.put("a", b"small")
    gate = ftp_gateway(ftpd)
    with opened(gate, way) as client:
        data, _ = client.begin("RETR big")
        data.exactly(1 << 16)
        abort(client, synch)
        if ftpd.name == "pureftpd":  # looks at ABOR while it sends
            with contextlib.suppress(OSError):
                while data.sock.recv(1 << 16):
                    pass
        data.reset()  # the others look at ABOR when they can send no more
        # the server's 426 for the transfer and its 226 for ABOR, in whatever words it has
        first = client.reply()
        assert first.code in (226, 426), first
        if first.code == 426:
            assert client.reply().code in (225, 226)
        assert client.get("RETR a") == b"small"
    record = gate.record("ftp_data", lambda r: r["ftp_data"]["filename"] == "big")
    assert record["ftp_data"]["outcome"] != "complete"


def abort(client, synch):
    if synch:
        client.send(b"\xff\xf4")
        client.sock.send(b"\xff\xf2", socket.MSG_OOB)
    client.send(b"ABOR\r\n")


@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_abort_of_an_upload_F_020(ftp_server, ftp_gateway, way):
    server = ftp_server("proftpd")
    gate = ftp_gateway(server)
    with opened(gate, way) as client:
        data, _ = client.begin("STOR up")
        data.send(octets(1 << 18))
        wait_for(lambda: server.path("up").exists(), what="the beginning of the upload")
        client.send("ABOR\r\n")
        data.reset()
        assert client.reply().code in (426, 226)
        assert client.cmd("NOOP").code in (200, 225, 226)
    record = gate.record("ftp_data")
    assert record["ftp_data"]["outcome"] != "complete"


def test_abort_with_nothing_to_abort_F_020(ftpd, ftp_gateway):
    gate = ftp_gateway(ftpd)
    with opened(gate, "EPSV") as client:
        assert client.cmd("ABOR").code in (225, 226)
        assert client.cmd("NOOP").code == 200


@pytest.mark.parametrize("mode", ["tproxy", "redirect", "forward"])
@pytest.mark.parametrize("way", ["PORT", "EPSV"])
@pytest.mark.parametrize("port", [1024, 30000, 30511, 40000, 65535])
def test_any_data_port_of_the_server(fake_ftp, gateway, mode, way, port):
    """Also those whose numbers are the gateway's own on its own addresses."""
    server = fake_ftp(files={"a": b"hello"}, data_port=port)
    gate = gateway(server)
    with opened(gate, way) as client:
        assert client.get("RETR a") == b"hello"


# ---- many ----


def test_many_transfers_in_a_row(ftpd, ftp_gateway):
    """No port, hole or descriptor of one is in the way of the next."""
    small = ftpd.put("a", octets(1000))
    gate = ftp_gateway(ftpd)
    with opened(gate, "EPSV") as client:
        client.get("RETR a")
        before = len(gate.workers()[0].descriptors())
        for i in range(60):
            client.way = WAYS[i % 4]
            assert client.get("RETR a") == small
        wait_for(lambda: len(gate.workers()[0].descriptors()) <= before, what="descriptors")


@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_two_hundred_sessions_at_a_time(ftp_server, ftp_gateway, perimeter, way):
    server = ftp_server("vsftpd")
    sent = {f"up.{i}": octets(50_000, i) for i in range(200)}
    server.put("a", octets(100_000))
    gate = ftp_gateway(server, workers=2,
                       limits={"sessions_per_client": 1000, "pending_connects_per_client": 1000,
                               "auth_failures_per_minute": 0})
    clients, faults = {}, []
    together = threading.Barrier(20)

    def ten(names):
        """Ten sessions, each with its transfers, all open while the others are."""
        try:
            for name in names:
                clients[name] = gate.client(timeout=60)
                clients[name].way = way
                clients[name].login().binary()
            together.wait(60)
            for name in names:
                assert clients[name].put(f"STOR {name}", sent[name], 60).code == 226
                assert clients[name].get("RETR a", 60) == octets(100_000)
            together.wait(60)
        except BaseException as fault:
            faults.append(fault)
            together.abort()

    names = list(sent)
    threads = [threading.Thread(target=ten, args=(names[i::20],)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients.values():
        client.close()
    assert not faults, faults[:3]
    assert all(sha256(server.read(name)) == sha256(sent[name]) for name in names)
    wait_for(lambda: len(gate.records("flow")) == 200, 20, "200 records")
    assert len(gate.records("ftp_data")) == 400
