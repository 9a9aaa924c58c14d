"""
FTP at the perimeter: an administrator's firewall that drops, address translation on the same box,
who else finds a way through the holes, and what is left of them. FIELD rows D6, F1, F14; SECURITY F-014, F-015.
"""

import pytest

import lab as L
from ftp_peers import FakeFtp, FtpClient
from ftp_servers import sha256
from lab import wait_for

WAYS = ["PORT", "EPRT", "PASV", "EPSV"]
PAYLOAD = bytes(range(256)) * 400
PERSON = L.SINK  # somebody inside


def opened(gate, way="EPSV", **options):
    client = gate.client(**options)
    client.way = way
    return client.login().binary()


def both_directions(client, server):
    assert sha256(client.get("RETR a")) == sha256(PAYLOAD)
    assert client.put("STOR b", PAYLOAD).code == 226
    assert server.read("b") == PAYLOAD


@pytest.fixture
def server(vsftpd):
    vsftpd.put("a", PAYLOAD)
    return vsftpd


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "not"])
@pytest.mark.parametrize("masquerade", [False, True], ids=["", "masquerade"])
@pytest.mark.parametrize("way", WAYS)
def test_in_from_outside_by_the_servers_address(perimeter, server, guarded, way, masquerade, inspect):
    perimeter.firewall(masquerade=masquerade)
    gate = guarded(server, ftp={"inspect": inspect})
    with opened(gate, way) as client:
        both_directions(client, server)


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize("way", WAYS)
def test_in_from_outside_by_DNAT(perimeter, server, guarded, way, v6):
    """The client knows only the public address; it is the one that it must be told, and called from."""
    if v6 and way in ("PORT", "PASV"):
        way = {"PORT": "EPRT", "PASV": "EPSV"}[way]
    perimeter.firewall(dnat=True)
    # nobody outside knows a way to the addresses inside
    routes = (f"route add blackhole {L.INSIDE4}0/24", f"route add blackhole {L.INSIDE6}/64")
    perimeter.client.ip(*routes)
    try:
        gate = guarded(server)
        public = L.PUBLIC6 if v6 else L.PUBLIC
        with gate.client(to=(public, 21)) as client:
            client.way = way
            client.login().binary()
            if way == "PASV":
                assert client.passive()[0] == public
            both_directions(client, server)
    finally:
        perimeter.client.ip(*(r.replace(" add ", " del ") for r in routes))


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "not"])
@pytest.mark.parametrize("way", WAYS)
def test_out_from_inside_behind_masquerade(perimeter, guarded, fake_outside, way, inspect):
    """A client with a private address, a server in the world: it sees the box's address."""
    perimeter.firewall(masquerade=True)
    gate = guarded(fake_outside, ftp={"inspect": inspect})
    client = FtpClient(perimeter.server, L.CLIENT_OTHER, fake_outside.port, PERSON)
    client.way = way
    with client.login().binary():
        assert client.get("RETR a") == PAYLOAD
        assert client.put("STOR b", PAYLOAD).code == 226
    assert fake_outside.files["b"] == PAYLOAD and "b" in fake_outside.whole
    assert gate.flow()["src_ip"] == PERSON
    assert {peer[0] for peer in fake_outside.data_peers} == {L.GATEWAY}


@pytest.fixture
def fake_outside(perimeter):
    with FakeFtp(perimeter.client, L.CLIENT_OTHER, 21, files={"a": PAYLOAD}) as server:
        yield server


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "not"])
def test_nobody_else_comes_through_a_hole_F_014(perimeter, server, ftp_gateway, mode, inspect):
    """Another host, another port, another server: the firewall drops them as before."""
    gate = ftp_gateway(server, ftp={"inspect": inspect})
    with opened(gate, "PASV") as client:
        to = client.passive()
        for source, address, port in ((L.CLIENT_OTHER, to[0], to[1]), (L.CLIENT, to[0], to[1] - 1),
                                      (L.CLIENT, L.PROFTPD, to[1])):
            with pytest.raises(OSError):
                client.connect((address, port), source=source, timeout=0.7)
        data = client.connect(to)
        assert client.cmd("RETR a").code in (125, 150)
        assert data.rest() == PAYLOAD
        assert client.reply().code == 226
        with pytest.raises(OSError):  # and the hole is closed: F_015
            client.connect(to, timeout=0.7)


def elements(gate):
    """Of all sets and maps in the gateway's table whose rows are data connections."""
    text = gate.namespace.output("nft", "-n", "list", "table", "inet", "postern")
    return [line for line in text.splitlines() if "expires" in line]


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_holes_go_with_their_session_D6(perimeter, server, ftp_gateway, mode):
    gate = ftp_gateway(server)
    client = opened(gate, "PASV")
    client.passive()
    assert "expires" in "\n".join(elements(gate))
    client.close()
    gate.flow()
    wait_for(lambda: not elements(gate), 5, "no element left")


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_holes_go_with_the_gateway_D6(perimeter, server, guarded, how):
    gate = guarded(server)
    client = opened(gate, "PASV")
    to = client.passive()
    gate.kill() if how == "killed" else gate.stop(keep_guard=True)
    with pytest.raises(OSError):
        FtpClient(perimeter.client, to[0], to[1], L.CLIENT, 0.7)
    client.close()


def test_a_worker_that_dies_takes_its_holes_along_D6(perimeter, server, guarded):
    gate = guarded(server)
    client = opened(gate, "PASV")
    to = client.passive()
    gate.kill_worker()
    wait_for(lambda: not elements(gate), 5, "no element left")
    with pytest.raises(OSError):
        FtpClient(perimeter.client, to[0], to[1], L.CLIENT, 0.7)
    client.close()
    wait_for(lambda: gate.workers(), what="a new worker")
    with opened(gate) as client:
        both_directions(client, server)


def test_a_firewall_without_our_two_rules_is_told_of(perimeter, server, guarded):
    """The marks are what the administrator has to let through: without them nothing goes, and a line says so."""
    perimeter.firewall(taken="")
    gate = guarded(server)
    with pytest.raises(OSError):
        gate.client(timeout=1.5)
    assert "postern" in gate.stderr


def test_an_active_client_on_a_second_network(perimeter, server, guarded):
    """Strict reverse paths: each packet of the data connection leaves where it belongs."""
    gate = guarded(server)
    for way in ("PORT", "EPSV"):
        client = FtpClient(perimeter.client_two, server.address, 21, L.CLIENT_TWO)
        client.way = way
        with client.login().binary():
            both_directions(client, server)
    assert {r["src_ip"] for r in gate.records("ftp_data")} == {L.CLIENT_TWO}
