"""
Sessions taken off the wire: both ends see each other, behind every kind of firewall and address
translation; unreachable servers, scans, loops. SECURITY cases A-005, A-015, A-027, A-030, A-034, R-030,
R-031; FIELD rows D1 to D9.
"""

import itertools
import socket
import time

import pytest

import lab as L
from gateway import INTERCEPTED
from lab import wait_for
from load import Steady
from peers import Crowd, FakeServer, RawClient, knock

PROBE = b"XPROBE"  # no gateway passes on what it does not know; a FakeServer sees it only directly


@pytest.fixture
def mode():
    return "tproxy"


def passed_by(client, server):
    """True when client speaks to server itself, with nobody in between who understands anything."""
    client.hello()
    client.cmd(PROBE)
    return PROBE + b"\r\n" in server.commands


def mail(client, subject="hello"):
    client.hello()
    client.envelope()
    assert client.data(f"Subject: {subject}\r\n\r\nx\r\n.\r\n").code == 250


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_both_ends_see_each_other_D1_D3_D8(fake, gateway, v6):
    client_ip, server_ip = (L.CLIENT6, L.FAKE6) if v6 else (L.CLIENT, L.FAKE)
    server = fake(server_ip, port=25)
    gate = gateway(**{"to6" if v6 else "to": (server.address, 25)})
    with gate.client(v6=v6) as client:
        assert client.sock.getpeername()[:2] == (server_ip, 25)
        mail(client)
    assert server.ended().peer[0] == client_ip
    flow = gate.flow()
    assert (flow["src_ip"], flow["dest_ip"], flow["dest_port"]) == (client_ip, server_ip, 25)
    assert (flow["upstream"]["src_ip"], flow["upstream"]["dest_ip"]) == (client_ip, server_ip)
    assert len(gate.records("flow")) == 1  # its own connection was not taken off the wire again


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_redirect_finds_the_server_D2(fake, gateway, v6):
    client_ip, server_ip = (L.CLIENT6, L.FAKE6) if v6 else (L.CLIENT, L.FAKE)
    gateway_ip = (L.INSIDE6 if v6 else L.INSIDE4) + "1"
    server = fake(server_ip, port=25)
    gate = gateway(mode="redirect", **{"to6" if v6 else "to": (server.address, 25)})
    with gate.client(v6=v6) as client:
        assert client.sock.getpeername()[:2] == (server_ip, 25)
        mail(client)
    assert server.ended().peer[0] == gateway_ip
    flow = gate.flow()
    assert (flow["src_ip"], flow["dest_ip"], flow["dest_port"]) == (client_ip, server_ip, 25)
    assert flow["upstream"]["src_ip"] == gateway_ip
    assert len(gate.records("flow")) == 1


def test_redirect_judges_all_the_same(fake, gateway):
    server = fake(port=25)
    gate = gateway(server, mode="redirect")
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<r@evil.example>").is_(550, "5.7.1")
    with gate.client(L.CLIENT_INSIDE) as client:
        client.hello()
        client.envelope("s@good.example", "r@evil.example")


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_a_real_server_writes_down_the_client_D3(campus, gateway, v6):
    gate = gateway(campus, to6=L.MX6)
    with gate.client(v6=v6) as client:
        mail(client, "who was it")
    assert campus.box.wait("who was it")
    assert f"connect from unknown[{L.CLIENT6 if v6 else L.CLIENT}]" in campus.log()


def test_every_server_and_port_with_nothing_configured(fake, gateway):
    """Several servers, ports 25 and 587; what is not configured is not touched: A-005."""
    servers = [fake(a, port=p) for a, p in ((L.FAKE, 25), (L.FAKE, 587), (L.FAKE_TWO, 25))]
    other = fake(L.FAKE, port=2525)
    gate = gateway()
    for server in servers:
        with gate.client(to=(server.address, server.port)) as client:
            assert not passed_by(client, server)
        assert server.ended().peer[0] == L.CLIENT
    with gate.client(to=(other.address, other.port)) as client:
        assert passed_by(client, other)


def test_a_sessions_own_options_A_005(lab, fake, gateway):
    """TCP Fast Open puts data into the SYN, ECN sets bits in it: taken off the wire like any other."""
    server = fake(port=25)
    gate = gateway(server)
    lab.client.sysctl("ipv4/tcp_ecn", 1)
    try:
        with gate.client() as client:
            assert not passed_by(client, server)
    finally:
        lab.client.sysctl("ipv4/tcp_ecn", 2)
    sock = lab.client.tcp()
    sock.bind((L.CLIENT, 0))
    sock.sendto(PROBE + b"\r\n", socket.MSG_FASTOPEN, (server.address, 25))
    sock.settimeout(10)
    sock.recv(100)
    sock.close()
    assert PROBE + b"\r\n" not in server.commands
    wait_for(lambda: len(gate.records("flow")) == 2, what="two records")


def test_both_workers_have_work_D13(fake, gateway):
    server = fake(port=25)
    gate = gateway(server, workers=2, limits={"sessions_per_client": 100,
                                              "pending_connects_per_client": 100})
    clients = [gate.client() for _ in range(40)]
    for client in clients:
        client.hello()
    owners = [gate.owner(client) for client in clients]
    assert set(owners) == set(gate.workers()) and len(gate.workers()) == 2
    print("sessions of each worker:", [owners.count(worker) for worker in gate.workers()])
    for client in clients:
        assert client.cmd("QUIT").code == 221
        client.close()


def both_families(four, six):
    return pytest.mark.parametrize("there", [four, six], ids=["v4", "v6"])


def networks(v6):
    """Who is where in the perimeter: {label of the namespace: address}."""
    if v6:
        return {"client": L.CLIENT6, "client_two": L.CLIENT6_TWO, "server": L.MX6,
                "server_two": L.SERVER6_TWO}
    return {"client": L.CLIENT, "client_two": L.CLIENT_TWO, "server": L.MX,
            "server_two": L.SERVER_TWO}


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_between_all_networks_D9(perimeter, guarded, v6):
    """Two networks outside, two inside, and every way between them, through a firewall that drops."""
    gate = guarded()
    for here, there in itertools.permutations(networks(v6), 2):
        source, target = networks(v6)[here], networks(v6)[there]
        with FakeServer(getattr(perimeter, there), target, 25) as server:
            with gate.client(source, to=target, namespace=getattr(perimeter, here)) as client:
                assert not passed_by(client, server), (here, there)
            assert server.ended().peer[0] == source, (here, there)


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize("dnat,masquerade", [(True, False), (False, True), (True, True)],
                         ids=["dnat", "masquerade", "both"])
def test_beside_address_translation(perimeter, guarded, dnat, masquerade, v6):
    """The world finds our server behind a public address; our own hide behind the gateway's."""
    mx, client_ip = (L.MX6, L.CLIENT6) if v6 else (L.MX, L.CLIENT)
    public = (L.PUBLIC6 if v6 else L.PUBLIC) if dnat else mx
    world = L.CLIENT6_TWO if v6 else L.CLIENT_TWO
    perimeter.firewall(dnat=dnat, masquerade=masquerade)
    gate = guarded()
    with FakeServer(perimeter.server, mx, 25) as server:
        with gate.client(client_ip, to=public) as client:
            assert client.sock.getpeername()[0] == public
            mail(client)
        assert server.ended().peer[0] == client_ip
        assert len(server.mails) == 1
    with FakeServer(perimeter.client_two, world, 25) as server:
        with gate.client(mx, to=world, namespace=perimeter.server) as client:
            assert not passed_by(client, server)
        hidden = (L.OUTSIDE6_TWO if v6 else L.OUTSIDE4_TWO) + "1"
        assert server.ended().peer[0] == (hidden if masquerade else mx)
    wait_for(lambda: len(gate.records("flow")) == 2, what="two records")


def test_a_firewall_that_does_not_know_of_us_is_named(perimeter, guarded):
    """Our accept is not final: who drops in the input chain drops our sessions, and is told how not to."""
    perimeter.firewall(taken="", passing="")
    gate = guarded()
    with FakeServer(perimeter.server, L.FAKE, 25):
        assert knock(perimeter.client, L.FAKE, timeout=2) == "silent"
    assert "firewall" in gate.stderr and "input" in gate.stderr, gate.stderr
    assert "0x1000000" in gate.stderr.replace("0x01", "0x1"), gate.stderr
    assert "accept" in gate.stderr
    gate.stop()
    perimeter.firewall()
    again = guarded()
    assert "accept" not in again.stderr, again.stderr


def end_of(sock):
    """How the other side ends a connection: what it said first, and "FIN" or "RST"."""
    said = b""
    try:
        while octets := sock.recv(4096):
            said += octets
        return said, "FIN"
    except ConnectionResetError:
        return said, "RST"


@pytest.mark.parametrize("unreachable", ["reply", "reset"])
@pytest.mark.parametrize("why", ["refused", "silent", "prohibited", "no-route"])
def test_unreachable_A_027(lab, gateway, why, unreachable):
    to = {"refused": (L.FAKE, 587), "silent": (L.NOBODY_THERE, 25), "prohibited": (L.FAKE, 25),
          "no-route": ("192.0.2.200", 25)}[why]
    lab.server.nft("table inet prohibited\ndelete table inet prohibited\n")
    if why == "prohibited":
        lab.server.nft("table inet prohibited { chain input { type filter hook input priority 0;"
                       " tcp dport 25 reject with icmpx admin-prohibited; }; }")
    gate = gateway(to, intercept={"unreachable": unreachable}, limits={"connect_timeout": 1})
    began = time.monotonic()
    try:
        with gate.client() as client:
            said, end = end_of(client.sock)
    except ConnectionError:  # the reset came at once
        said, end = b"", "RST"
    finally:
        lab.server.nft("table inet prohibited\ndelete table inet prohibited\n")
    took = time.monotonic() - began
    print(f"told after {took:.2f} s")
    assert took < 8
    if unreachable == "reset":
        assert (said, end) == (b"", "RST")
    else:
        assert said.startswith(b"421 4.4.1 ") and end == "FIN", (said, end)
    assert gate.flow()["flow"]["state"] == "new"


def test_scan_of_dead_addresses_while_mail_flows(fake, gateway):
    """Every address seems to answer when a gateway accepts first; that costs nobody else anything."""
    server = fake(port=25)
    gate = gateway(server, limits={"connect_timeout": 2})
    with Steady(gate, [L.CLIENT_OTHER]) as steady:
        with Crowd(gate.lab.client, "scan", L.CLIENT, L.DEAD4 + "0.1", 25, 5000) as scan:
            print("the scanner was told:", scan.came)
            assert sum(scan.came.values()) == 5000
            assert scan.came.get("held", 0) == 0
    assert not steady.faults, steady.faults[:3]
    assert len(steady.took) >= 20
    assert steady.p99 < 2
    assert len(server.mails) == steady.mails


def test_pending_connects_of_one_client_A_015(lab, fake, gateway):
    server = fake(port=25)
    gate = gateway((L.NOBODY_THERE, 25), limits={"pending_connects_per_client": 3,
                                                 "connect_timeout": 3})
    waiting = [gate.client() for _ in range(3)]
    began = time.monotonic()
    with gate.client() as fourth:
        assert fourth.reply().code == 421
        assert time.monotonic() - began < 2
    with gate.client(L.CLIENT_OTHER, to=server.address) as other:
        mail(other)
    for client in waiting:
        assert client.reply().is_(421, "4.4.1")
        client.close()


def test_half_open_connections_A_030(lab, fake, gateway):
    """100,000 SYNs from as many addresses that never answer, at the address of a real server."""
    server = fake(port=25)
    gate = gateway(server)
    lab.gateway.ip(f"route add default via {L.CLIENT}")
    try:
        with Steady(gate, [L.CLIENT_OTHER]) as steady:
            with Crowd(lab.client, "syn", "100.64.0.1", L.FAKE, 25, 100_000) as flood:
                assert flood.came == {"sent": 100_000}
                time.sleep(1)
        with gate.client() as client:
            mail(client)
    finally:
        lab.gateway.ip("route del default")
    assert not steady.faults, steady.faults[:3]
    assert steady.p99 < 5


OWN = {"outside": L.GATEWAY, "inside": L.INSIDE4 + "1", "outside6": L.GATEWAY6,
       "inside6": L.INSIDE6 + "1"}


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
@pytest.mark.parametrize("own", OWN.values(), ids=OWN.keys())
def test_the_gateway_does_not_dial_itself_A_034_D7(lab, fake, gateway, own, mode):
    gate = gateway()
    before, began = gate.cpu(), time.monotonic()
    for port in (25, gate.settings["intercept"].get("listen_from", 30000) + 1):
        for namespace in (lab.client, lab.server):
            told = knock(namespace, own, port)
            assert told in ("refused", "reset", "closed", "421"), (port, namespace.label, told)
    time.sleep(0.5)
    assert gate.cpu() - before < 0.5 * (time.monotonic() - began), "it turns in circles"
    assert len(gate.records("flow")) <= 4
    assert gate.process.poll() is None


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_clients_that_are_never_touched(lab, fake, gateway, v6):
    server_ip, one, other = (L.FAKE6, L.CLIENT6, L.OUTSIDE6 + "3") if v6 else \
        (L.FAKE, L.CLIENT, L.CLIENT_OTHER)
    server = fake(server_ip, port=25)
    gate = gateway((server_ip, 25), intercept={"bypass": [one]})
    with gate.client(one) as client:
        assert passed_by(client, server)
    assert server.conversations[0].peer[:2][0] == one
    with gate.client(other) as client:
        client.hello()
        assert client.cmd("XOTHER").code != 250
    assert b"XOTHER\r\n" not in server.commands
    gate.kill()  # and never means never: the guard does not touch them either
    with RawClient(lab.client, server_ip, 25, one) as client:
        client.hello()
    assert knock(lab.client, server_ip, source=other) == "refused"


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_servers_that_are_never_touched(lab, fake, gateway, v6):
    one, other = (L.FAKE6, L.FAKE6_TWO) if v6 else (L.FAKE, L.FAKE_TWO)
    left_alone, taken = fake(one, port=25), fake(other, port=25)
    gate = gateway(intercept={"bypass_servers": [one]})
    with gate.client(to=one) as client:
        assert passed_by(client, left_alone)
    with gate.client(to=other) as client:
        assert not passed_by(client, taken)
    gate.kill()
    assert knock(lab.client, one) == "220"
    assert knock(lab.client, other) == "refused"


def test_never_touched_is_left_to_the_firewall(perimeter, guarded):
    """No hole in somebody else's firewall: it decides, as it did before there was a gateway."""
    with FakeServer(perimeter.server, L.FAKE, 25) as server:
        gate = guarded(intercept={"bypass": [L.CLIENT]})
        with gate.client(L.CLIENT, to=L.FAKE) as client:
            assert passed_by(client, server)
        perimeter.firewall(forwards_mail=False)
        assert knock(perimeter.client, L.FAKE, source=L.CLIENT, timeout=2) == "silent"
        assert knock(perimeter.client, L.FAKE, source=L.CLIENT_OTHER) == "220"


def test_only_what_arrives_on_named_interfaces_D9(perimeter, guarded):
    gate = guarded(intercept={"devices": ["outside"]})
    with FakeServer(perimeter.server, L.FAKE, 25) as server:
        with gate.client(L.CLIENT, to=L.FAKE) as client:
            assert not passed_by(client, server)
        with gate.client(L.CLIENT_TWO, to=L.FAKE, namespace=perimeter.client_two) as client:
            assert passed_by(client, server)
        gate.kill()
        assert knock(perimeter.client, L.FAKE) == "refused"
        assert knock(perimeter.client_two, L.FAKE) == "220"


@pytest.mark.parametrize("devices,relays", [(["inside"], False), ([], True)],
                         ids=["by-device", "by-address"])
def test_an_inside_address_that_arrives_outside_R_031(fake, gateway, devices, relays):
    """CLIENT_INSIDE lives behind the outside interface: by its address alone it is one of us."""
    server = fake(port=25)
    gate = gateway(server, inside_devices=devices)
    with gate.client(L.CLIENT_INSIDE) as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        answer = client.cmd("RCPT TO:<r@evil.example>")
        assert answer.code == 250 if relays else answer.is_(550, "5.7.1"), answer


def test_inside_by_device_is_still_inside_R_031(lab, gateway):
    """A host that is behind the inside interface and has an address of ours may send to the world."""
    with FakeServer(lab.client, L.CLIENT_OTHER, 25) as world:
        gate = gateway((L.CLIENT_OTHER, 25), inside_devices=["inside"])
        with gate.client(L.SINK, namespace=lab.server) as client:
            client.hello()
            client.envelope("s@good.example", "r@evil.example")
        assert world.ended().peer[0] == L.SINK


def test_with_the_clients_address_or_not_at_all_R_030(lab, fake, gateway):
    """
    Two local ports are all that there is (none that sessions before have used): the third session of a client with a server finds none for
    the client's address. Its own address would do, and would make an open relay of every server that
    trusts its gateway.
    """
    server = fake(port=25)
    lab.gateway.sysctl("ipv4/ip_local_port_range", "61500 61501")
    try:
        gate = gateway(server)
        firm = [gate.client() for _ in range(2)]
        for client in firm:
            client.hello()
        for _ in range(3):
            with gate.client() as client:
                answer = client.reply()
                assert answer.code == 421, answer
        with gate.client(L.CLIENT_OTHER) as other:  # who has another address has other ports
            other.hello()
        for client in firm:
            assert client.cmd("NOOP").code == 250
            client.close()
    finally:
        lab.gateway.sysctl("ipv4/ip_local_port_range", L.GATEWAY_PORTS)
    assert {c.peer[0] for c in server.conversations} == {L.CLIENT, L.CLIENT_OTHER}
    assert len(server.conversations) == 3


def test_strict_reverse_paths(lab, fake, gateway):
    for device in ("all", "outside", "inside", "lo"):
        lab.gateway.sysctl(f"ipv4/conf/{device}/rp_filter", 1)
    try:
        server = fake(port=25)
        gate = gateway(server)
        with gate.client() as client:
            mail(client)
    finally:
        for device in ("all", "outside", "inside", "lo"):
            lab.gateway.sysctl(f"ipv4/conf/{device}/rp_filter", 0)
    assert server.ended().peer[0] == L.CLIENT


def early_demux(lab):
    return lab.gateway.output("cat", "/proc/sys/net/ipv4/tcp_early_demux").strip()


def migrates(lab):
    return lab.gateway.output("cat", "/proc/sys/net/ipv4/tcp_migrate_req").strip()


@pytest.mark.parametrize("setting,running", [(True, "0"), (False, "1")], ids=["yes", "no"])
def test_early_demux_is_off_while_it_runs(lab, fake, gateway, setting, running):
    lab.gateway.sysctl("ipv4/tcp_early_demux", 1)
    lab.gateway.sysctl("ipv4/tcp_migrate_req", 0)
    gate = gateway(fake(port=25), intercept={"sysctl": setting})
    assert early_demux(lab) == running
    assert migrates(lab) == ("1" if setting else "0")
    if not setting:
        assert "tcp_early_demux" in gate.stderr
    gate.stop()
    assert early_demux(lab) == "1"
    assert migrates(lab) == "0"


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_connections_pass_at_once_when_it_has_gone(lab, fake, gateway, how):
    """What is left of ended sessions must not swallow connections that pass by."""
    server = fake(port=25)
    gate = gateway(server, intercept={"on_exit": "bypass"})
    port = None
    for _ in range(20):
        with gate.client() as client:
            client.hello()
            client.cmd("QUIT")
            assert client.closed()  # the gateway ended first, and has to remember the connection
            port = client.sock.getsockname()[1]
    getattr(gate, how)()
    sock = lab.client.tcp()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((L.CLIENT, port))
    sock.settimeout(5)
    sock.connect((L.FAKE, 25))
    assert sock.recv(100)[:3] == b"220"
    sock.close()


FAULTS = {
    "no-forwarding": ("ipv4/ip_forward", 0, "ip_forward"),
    "port-taken": (None, None, "30001"),
}


@pytest.mark.parametrize("sysctl,value,named", FAULTS.values(), ids=FAULTS.keys())
def test_what_is_missing_is_named_in_one_line(lab, gateway, sysctl, value, named):
    taken = lab.gateway.tcp()
    try:
        if sysctl:
            lab.gateway.sysctl(sysctl, value)
        else:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("0.0.0.0", 30001))  # that of SMTP, as listen_from says
            taken.listen()
        with pytest.raises(L.LabError, match=named) as fault:
            gateway()
    finally:
        taken.close()
        lab.gateway.sysctl("ipv4/ip_forward", 1)
    said = str(fault.value).splitlines()
    assert "ended with 1" in said[0], said
    assert len([line for line in said if "postern:" in line]) == 1, said


def test_without_privilege_one_line(lab, gateway):
    gate = gateway()
    gate.stop()
    done = lab.gateway.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           gate.binary, "run", "-c", gate.file)
    assert done.returncode == 1, done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert INTERCEPTED not in gate.tables()
