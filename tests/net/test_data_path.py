"""
Which data connections reach which worker, and for how long: holes in the kernel's maps, data ports
of worker processes, flows that pass unproxied and are counted. SECURITY cases F-002, F-014, F-042, F-044;
FIELD rows D6, F10, R1.
"""

import random
import re
import socket
import threading
import time

import pytest

import lab as L
from ftp_peers import FakeFtp, FtpClient, data_listener, taken
from ftp_servers import sha256
from lab import wait_for

PAYLOAD = bytes(range(256)) * 400
FAMILIES = [pytest.param(False, id="IPv4"), pytest.param(True, id="IPv6")]
DATA_PORTS = range(30016, 30016 + 512)


@pytest.fixture
def mode():
    return "tproxy"


@pytest.fixture
def server(perimeter):
    with FakeFtp(perimeter.server, L.FAKE, 21, files={"a": PAYLOAD}) as one:
        yield one


@pytest.fixture
def server6(perimeter):
    with FakeFtp(perimeter.server, L.MX6, 21, files={"a": PAYLOAD}) as one:
        yield one


def opened(gate, way="EPSV", **options):
    client = gate.client(**options)
    client.way = way
    return client.login().binary()


def download(client, octets=PAYLOAD):
    assert client.get("RETR a") == octets


def elements(gate, *names):
    """What stands in these sets or maps: (key, rest) of each element."""
    found = []
    for name in names or ("data4", "data6", "passed4", "passed6", "replies4", "replies6"):
        kind = "map" if name.startswith("data") else "set"
        text = gate.namespace.output("nft", "-n", "list", kind, "inet", "postern", name)
        inside = re.search(r"elements = \{(.*?)\}", text, re.DOTALL)
        for row in inside.group(1).split(",") if inside else ():
            key, rest = re.match(r"\s*(\S+ \. \S+ \. \d+)(.*)", row, re.DOTALL).groups()
            found.append((key, rest))
    return found


def transfers(gate, n):
    """Records of n transfers: they come a little later than what they are about."""
    wait_for(lambda: len(gate.records("ftp_data")) >= n, 10, f"{n} records")
    return gate.records("ftp_data")


def data_port(gate, name="data4"):
    (_, rest), = elements(gate, name)
    return int(re.search(r": (\d+)", rest).group(1))


def listening(gate):
    """Ports in the range of data ports on which somebody listens, with how many sockets."""
    table = gate.namespace.output("ss", "-Hltn")
    ports = [int(line.split()[3].rsplit(":", 1)[1]) for line in table.splitlines()]
    return {p: ports.count(p) for p in ports if p in DATA_PORTS}


@pytest.mark.parametrize("way", ["PASV", "EPSV"])
def test_D6_an_element_for_each_hole(server, guarded, way):
    """Client, server, port: the hole is that narrow, and gone when its connection came."""
    gate = guarded(server, workers=2)
    with opened(gate, way) as client:
        assert elements(gate) == []
        address, port = client.passive()
        (key, rest), = elements(gate)
        assert key == f"{L.CLIENT} . {L.FAKE} . {port}" and address == L.FAKE
        assert "timeout" in rest and data_port(gate) in listening(gate)
        data = client.connect((address, port))
        wait_for(lambda: elements(gate) == [], 5, "the hole to close")
        assert client.cmd("RETR a").code == 150
        assert data.rest() == PAYLOAD and client.reply().code == 226


def test_D6_each_worker_has_a_data_port(server, guarded):
    """Both families, transparent, of each process; and the connection comes to the session's own."""
    gate = guarded(server, workers=3)
    ports = listening(gate)
    assert len(ports) == 3 and set(ports.values()) == {2}
    for _ in range(12):
        with opened(gate) as client:
            download(client)


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_D6_a_hole_closes_by_itself(server, ftp_gateway, mode):
    """F_042: nobody came in time; afterwards the firewall drops, as it did before."""
    gate = ftp_gateway(server, ftp={"timeouts": {"data_open": 1}})
    with opened(gate) as client:
        to = client.passive()
        assert len(elements(gate)) == 1
        wait_for(lambda: elements(gate) == [], 6, "the element to expire")
        with pytest.raises(OSError):
            client.connect(to, timeout=1)


def test_F_014_a_hole_is_for_one_client_and_one_port(server, guarded, perimeter):
    gate = guarded(server)
    with opened(gate) as client:
        address, port = client.passive()
        for source, to in ((L.CLIENT_OTHER, (address, port)), (L.CLIENT, (address, port ^ 1)),
                           (L.CLIENT, (L.VSFTPD, port))):
            with pytest.raises(OSError):
                client.connect(to, source=source, timeout=0.7)
        assert len(elements(gate)) == 1
        data = client.connect((address, port))
        assert client.cmd("RETR a").code == 150 and data.rest() == PAYLOAD
        assert client.reply().code == 226


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "passed"])
def test_R1_reload_each_generation_has_its_data_connections(server, guarded, inspect):
    """Sessions of the old generation go on, and get theirs; the new ones get theirs."""
    gate = guarded(server, workers=2, drain=20, ftp={"inspect": inspect})
    before = listening(gate)
    with opened(gate) as old:
        waiting = old.passive()  # a hole that is open while the tables are made anew
        gate.reload()
        with opened(gate) as new:
            assert len(elements(gate)) == (1 if inspect else 2)
            for _ in range(2):
                download(new)
                data = old.connect(waiting)
                assert old.cmd("RETR a").code == 150
                assert data.rest() == PAYLOAD and old.reply().code == 226
                waiting = old.passive()
            assert old.put("STOR b", PAYLOAD).code == 226
            old.quit()
            wait_for(lambda: len(gate.workers()) == 2, 10, "the old generation to end")
            wait_for(lambda: len(listening(gate)) == 2, 5, "its data ports to close")
            assert not set(listening(gate)) & set(before)
            download(new)


def test_R1_many_reloads(server, guarded):
    """Data ports come back; a session of each generation works to its end."""
    gate = guarded(server, workers=1, drain=60)
    clients = []
    for _ in range(5):
        clients.append(opened(gate))
        gate.reload()
    assert len(listening(gate)) == 6
    for client in clients:
        download(client)
        client.quit()
    wait_for(lambda: len(listening(gate)) == 1, 10, "five data ports to close")


@pytest.mark.parametrize("v6", FAMILIES)
@pytest.mark.parametrize("change", ["redirect", "listen_from"])
def test_R1_reload_to_other_ports(server, server6, guarded, change, v6):
    """The old generation listens where it did, whatever the configuration says by now."""
    gate = guarded(server, to6=L.MX6, drain=20)
    with opened(gate, v6=v6) as old:
        to = old.passive()
        more = {"mode": "redirect"} if change == "redirect" else {"listen_from": 31000}
        gate.configure(drain=20, intercept=more)
        gate.reload()
        if change == "redirect":  # its server leg is transparent, which needs the old rules
            assert data_port(gate, "data6" if v6 else "data4") in DATA_PORTS
            return
        data = old.connect(to)
        assert old.cmd("RETR a").code == 150
        assert data.rest() == PAYLOAD and old.reply().code == 226
        download(old)
        with opened(gate, v6=v6) as new:
            download(new)


def test_D6_a_killed_worker_leaves_no_hole(server, guarded):
    """And its successor, which has another data port, never gets what it expected."""
    gate = guarded(server, workers=1)
    with opened(gate) as client:
        to = client.passive()
        before = data_port(gate)
        gate.kill_worker()
        wait_for(lambda: elements(gate) == [], 5, "the holes to be forgotten")
        wait_for(lambda: listening(gate), 5, "the successor's data port")
        assert before not in listening(gate)
        with pytest.raises(OSError):
            FtpClient(gate.lab.client, *to, L.CLIENT, 0.7)
    with opened(gate) as client:
        download(client)


# ---- NAT on the same box ----

RANGE = f"""
table inet range {{
	chain prerouting {{
		type nat hook prerouting priority dstnat - 1;
		ip daddr {L.PUBLIC} tcp dport 21 dnat ip to {L.FAKE}
		ip daddr {L.PUBLIC} tcp dport 1024-65535 dnat ip to {L.FAKE}
	}}
}}
"""


@pytest.mark.parametrize("way", ["PASV", "EPSV", "PORT"])
def test_a_range_of_data_ports_that_is_translated(perimeter, server, guarded, way):
    """Who had no gateway before has translated the data ports too: they are expected all the same."""
    perimeter.firewall(dnat=True)
    perimeter.gateway.nft(RANGE)
    try:
        gate = guarded(server)
        with gate.client(to=(L.PUBLIC, 21)) as client:
            client.way = way
            client.login().binary()
            download(client)
            assert client.put("STOR b", PAYLOAD).code == 226
        assert {r["src_ip"] for r in transfers(gate, 2)} == {L.CLIENT}
        flow = gate.flow()
        assert flow["upstream"]["dest_ip"] == L.FAKE and flow["dest_ip"] == L.PUBLIC
    finally:
        perimeter.gateway.run("nft", "delete table inet range")


# ---- what passes unproxied ----

def forward_knows_only_the_mark(perimeter):
    """An administrator's chain that accepts by our mark alone, and no established connections."""
    handle = re.search(r"ct state 0x\S+,0x\S+ accept # handle (\d+)|"
                       r"ct state established,related accept # handle (\d+)",
                       perimeter.gateway.output("nft", "-a", "list", "chain", "inet", "firewall",
                                                "forward"))
    number = handle.group(1) or handle.group(2)
    perimeter.gateway.nft(f"delete rule inet firewall forward handle {number}\n")


@pytest.mark.parametrize("v6", FAMILIES)
def test_passed_by_the_mark_alone_both_ways_and_counted(perimeter, server, server6, guarded, v6):
    gate = guarded(server, to6=L.MX6, ftp={"inspect": False})
    forward_knows_only_the_mark(perimeter)
    with opened(gate, v6=v6) as client:
        to = client.passive()
        assert {key for key, _ in elements(gate)} == \
            {f"{client.here} . {to[0]} . {to[1]}"}  # in two sets
        data = client.connect(to)
        assert client.cmd("RETR a").code == 150
        assert data.rest() == PAYLOAD
        data.close()
        assert client.reply().code == 226
        assert client.put("STOR b", PAYLOAD).code == 226
    counted = [r["ftp_data"]["octets_out"] for r in transfers(gate, 2)]
    assert len(counted) == 2
    for octets in counted:  # headers too
        assert len(PAYLOAD) < octets < 1.2 * len(PAYLOAD)
    wait_for(lambda: elements(gate) == [], 5, "the holes to close")


def slowly(conversation, data, verb, name):
    for i in range(16):
        data.send(PAYLOAD[i * 6400:][:6400])
        time.sleep(0.3)


def test_passed_for_longer_than_its_hole_was_open(perimeter, server, guarded):
    """As long as something moves the hole stays, and the count goes on; then it is gone."""
    server.transfer = slowly
    gate = guarded(server, ftp={"inspect": False, "timeouts": {"data_open": 1}})
    forward_knows_only_the_mark(perimeter)
    with opened(gate) as client:
        data = client.connect(client.passive())
        assert client.cmd("RETR a").code == 150
        assert data.rest() == PAYLOAD
        data.close()
        assert client.reply().code == 226
    counted = gate.record("ftp_data")["ftp_data"]["octets_out"]
    assert len(PAYLOAD) < counted < 1.2 * len(PAYLOAD)
    wait_for(lambda: elements(gate) == [], 5, "the hole to close")


LATE = PAYLOAD * 20
SO_SNDBUFFORCE = 32  # socket(7); Python has no name for it


def at_once(conversation, data, verb, name):
    """All of it is in the server's own buffers, and its last word comes ahead of most."""
    data.sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * len(LATE))
    data.send(LATE)


@pytest.mark.parametrize("then", ["QUIT", "PASV", "close", "nothing"])
def test_passed_and_read_late(perimeter, server, guarded, then):
    """
    The server says 226 when it has written its last octet, and the client, which has its 226 at once, reads
    later, and slowly: the hole stays so long, and all octets are in the record.
    """
    server.transfer = at_once
    gate = guarded(server, ftp={"inspect": False})
    forward_knows_only_the_mark(perimeter)
    with opened(gate) as client:
        data = client.connect(client.passive(), receive_buffer=65536)
        assert client.cmd("RETR a").code == 150
        assert client.reply(timeout=2).code == 226
        time.sleep(2.5)
        assert gate.records("ftp_data") == []
        assert data.rest() == LATE
        data.close()
        if then == "QUIT":
            assert client.cmd("QUIT").code == 221
        elif then == "PASV":
            assert client.cmd("PASV").code == 227
        if then in ("PASV", "nothing"):
            transfers(gate, 1)
    (record,) = (r["ftp_data"] for r in transfers(gate, 1))
    assert (record["outcome"], record["let_by"]) == ("complete", True) and record["duration_ms"] < 2000
    assert len(LATE) < record["octets_in"] == record["octets_out"] < 1.2 * len(LATE)
    wait_for(lambda: elements(gate) == [], 5, "the hole to close")


def test_a_session_is_not_idle_while_its_file_still_passes(perimeter, server, guarded):
    """For longer than timeouts.command nothing is said, and a little of the file read from time to time."""
    server.transfer = at_once
    gate = guarded(server, ftp={"inspect": False, "timeouts": {"command": 10}})
    forward_knows_only_the_mark(perimeter)
    with opened(gate) as client:
        data = client.connect(client.passive(), receive_buffer=65536)
        assert client.cmd("RETR a").code == 150
        assert client.reply(timeout=2).code == 226
        came = b""
        for _ in range(4):
            time.sleep(3)
            came += data.sock.recv(1 << 18, socket.MSG_WAITALL)
        assert came + data.rest() == LATE
        data.close()
        assert client.cmd("QUIT").code == 221
    (record,) = (r["ftp_data"] for r in transfers(gate, 1))
    assert len(LATE) < record["octets_in"] < 1.2 * len(LATE)


def test_F_040_passed_and_stalled(perimeter, server, guarded):
    """
    Nothing moves for data_idle, half as long again at most: the hole closes, and the record has what
    went by. One that moves a little within that time goes on.
    """
    still = threading.Event()

    def half(conversation, data, verb, name):
        data.send(PAYLOAD[:50000])
        still.wait(20)

    gate = guarded(server, ftp={"inspect": False, "timeouts": {"data_open": 1, "data_idle": 2, "reply": 3}})
    server.transfer = slowly
    with opened(gate) as client:
        download(client)
    server.transfer = half
    with opened(gate) as client:
        data = client.connect(client.passive())
        assert client.cmd("RETR a").code == 150
        assert data.exactly(50000) == PAYLOAD[:50000]
        since = time.monotonic()
        wait_for(lambda: elements(gate) == [], 6, "the hole to close")
        assert 1.9 < time.monotonic() - since < 4
        assert client.reply(timeout=6).code == 421
        data.close()
    still.set()
    whole, part = (r["ftp_data"] for r in transfers(gate, 2))
    assert (whole["outcome"], part["outcome"], part["reason"]) == ("complete", "cut", "stalled")
    assert "reason" not in whole and part["let_by"] is True
    assert 50000 < part["octets_out"] < 60000


def test_passed_and_another_one_on_the_same_port(perimeter, guarded):
    """
    A server may have few ports, and give one again while a transfer on it goes on: one hole counts
    one transfer, so the other goes through the gateway, and both have their file.
    """
    with FakeFtp(perimeter.server, L.FAKE, 21, files={"a": PAYLOAD}, data_port=47001) as server:
        gate = guarded(server, ftp={"inspect": False})
        server.transfer = slowly
        with opened(gate) as first, opened(gate) as second:
            data = first.connect(first.passive())
            assert first.cmd("RETR a").code == 150
            server.transfer = None
            download(second)
            assert data.rest() == PAYLOAD and first.reply().code == 226
        wait_for(lambda: elements(gate) == [], 5, "the holes to close")
        assert sorted(r["ftp_data"]["octets_out"] > len(PAYLOAD) for r in transfers(gate, 2)) == \
            [False, True]  # headers are counted of what passed


@pytest.mark.parametrize("v6", FAMILIES)
def test_passed_where_a_proxied_one_left_its_socket(perimeter, guarded, v6):
    """
    A transfer that was proxied leaves a socket in TIME_WAIT here for a minute. Another one with the
    same addresses and ports that passes is not taken to it, and has all of its file.
    """
    server, server6 = (FakeFtp(perimeter.server, place, 21, files={"a": PAYLOAD}, data_port=47001)
                       for place in (L.FAKE, L.MX6))
    with server, server6:
        gate = guarded(server, to6=L.MX6)
        for inspect in (True, False, True, False):
            gate.configure(ftp={"inspect": inspect})
            gate.reload()
            with opened(gate, v6=v6) as client:
                data = client.connect(client.passive(), source_port=41000)
                assert client.cmd("RETR a").code == 150
                assert data.rest() == PAYLOAD
                data.close()
                assert client.reply().code == 226
        assert [r["ftp_data"].get("let_by", False) for r in transfers(gate, 4)] == \
            [False, True, False, True]


def test_passed_hole_that_nobody_uses(server, guarded):
    gate = guarded(server, ftp={"inspect": False, "timeouts": {"data_open": 1}})
    with opened(gate) as client:
        to = client.passive()
        assert len(elements(gate)) == 2
        wait_for(lambda: elements(gate) == [], 5, "the holes to expire")
        with pytest.raises(OSError):
            client.connect(to, timeout=1)


def test_F_042_passed_and_nobody_comes(server, guarded):
    """The session does not wait for ever for the last word of a server that waits for a client."""
    gate = guarded(server, ftp={"inspect": False, "timeouts": {"data_open": 1, "reply": 1}})
    with opened(gate) as client:
        client.passive()
        assert client.cmd("RETR a").code == 150
        assert client.reply(timeout=6).code == 421
    assert gate.anomaly("ftp_data_not_opened")
    with opened(gate) as client:
        client.passive()
        wait_for(lambda: elements(gate) == [], 5, "the hole to expire")
        assert client.cmd("RETR a").code == 425


# ---- ports that coincide ----

PORTS = "net.ipv4.ip_local_port_range"
STRICT = """table inet strict {
    chain input { type filter hook input priority -10; ct state invalid drop; }
    chain output { type filter hook output priority -10; ct state invalid drop; }
}"""


@pytest.mark.parametrize("port,strict", [(29101, False), (29102, True)], ids=["usual", "strict"])
def test_client_and_gateway_on_the_same_port(perimeter, guarded, port, strict):
    """
    The gateway calls the server from the very port that the client called from, control and data:
    one connection to connection tracking, two to everybody else.
    """
    octets = PAYLOAD * 20
    usual = perimeter.gateway.output("sysctl", "-n", PORTS).split()
    with FakeFtp(perimeter.server, L.FAKE, 21, files={"a": octets}) as server:
        gate = guarded(server)
        if strict:
            perimeter.gateway.nft(STRICT)
        perimeter.gateway.output("sysctl", "-w", f"{PORTS}={port} {port}")
        try:
            with opened(gate, source_port=port) as client:
                data = client.connect(client.passive(), source_port=port)
                assert client.cmd("RETR a").code == 150
                assert data.rest() == octets
                data.close()
                assert client.reply().code == 226
        finally:
            perimeter.gateway.output("sysctl", "-w", f"{PORTS}={' '.join(usual)}")
            if strict:
                perimeter.gateway.nft("delete table inet strict")
        assert server.conversations[0].peer == (L.CLIENT, port)
        assert server.data_peers == [(L.CLIENT, port)]


# ---- third parties ----


@pytest.mark.parametrize("inspect", [True, False], ids=["inspected", "not"])
def test_F_048_fxp_lets_go_but_not_come(perimeter, server, guarded, inspect):
    """The server's data reach a third party that waits, from its own address; none may come to a hole."""
    gate = guarded(server, ftp={"inspect": inspect, "fxp": [L.CLIENT_OTHER], "timeouts": {"data_open": 2}})
    with opened(gate) as client:
        with data_listener(perimeter.client, L.CLIENT_OTHER) as third:
            client.way = "PORT"
            assert client.port(third).code == 200
            assert client.cmd("RETR a").code == 150
            with taken(third) as data:
                assert data.peer == (L.FAKE, 20)
                assert data.rest() == PAYLOAD
        assert client.reply().code == 226
        client.way = "PASV"
        to = client.passive()
        with pytest.raises(OSError):
            client.connect(to, source=L.CLIENT_OTHER, timeout=1)
        wait_for(lambda: elements(gate) == [], 6, "the hole to close")
    record, = transfers(gate, 1)
    ends = record["ftp_data"]["client"]
    assert (ends["mode"], ends["src_ip"], ends["dest_ip"]) == ("active", L.FAKE, L.CLIENT_OTHER)


# ---- many at once ----

def test_D6_two_hundred_holes_at_once(server, guarded):
    gate = guarded(server, workers=2, limits={"sessions_per_client": 1000,
                                              "pending_connects_per_client": 1000})
    clients = [opened(gate) for _ in range(200)]
    places = [client.passive() for client in clients]
    assert len(elements(gate, "data4")) == 200
    done = []

    def transfer(client, to):
        data = client.connect(to)
        assert client.cmd("RETR a").code == 150
        done.append(data.rest() == PAYLOAD and client.reply().code == 226)
        client.close()

    threads = [threading.Thread(target=transfer, args=pair) for pair in zip(clients, places)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [True] * 200
    wait_for(lambda: elements(gate) == [], 5, "all holes to close")


AT_ONCE, EACH = 10, 40
HEADERS = 3000  # octets of the packets that carry one of these files, at most


@pytest.mark.parametrize("name", ["vsftpd", "pureftpd", "proftpd"])
def test_L8_hundreds_pass_unproxied(ftp_server, guarded, name):
    """
    Every file is whole and has its own record with its own octets; of no hole anything is left. A server
    that takes its ports at random may name one on which another session's file still passes: that one
    goes through the gateway.
    """
    server = ftp_server(name)
    rng = random.Random(7)
    files = {f"f{i}": rng.randbytes(rng.randrange(1, 20_000)) for i in range(AT_ONCE * EACH)}
    for file, octets in files.items():
        server.put(file, octets)
    gate = guarded(server, ftp={"inspect": False}, workers=2, limits={"sessions_per_client": 100})
    wrong = []

    def session(number):
        with opened(gate, ("PASV", "EPSV")[number % 2]) as client:
            for i in range(number * EACH, (number + 1) * EACH):
                octets = files[f"f{i}"]
                if i % 2 == 0:
                    fine = client.get(f"RETR f{i}") == octets
                else:
                    fine = client.put(f"STOR u{i}", octets).code == 226
                if not fine:
                    wrong.append(i)
            client.quit()

    threads = [threading.Thread(target=session, args=(n,)) for n in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    wait_for(lambda: elements(gate) == [], 5, "all holes to close")
    records = [r["ftp_data"] for r in transfers(gate, len(files))]
    assert sorted(r["filename"] for r in records) == \
        sorted(f"{'fu'[i % 2]}{i}" for i in range(len(files)))
    for i in range(1, len(files), 2):
        assert sha256(server.read(f"u{i}")) == sha256(files[f"f{i}"])
    through = [r for r in records if "let_by" not in r]
    assert len(through) <= len(files) // 50
    for record in records:
        size = len(files["f" + record["filename"][1:]])
        assert (record["outcome"], record.get("let_by", True)) == ("complete", True), record
        least, most = (size, size) if record in through else (size + 1, size + HEADERS - 1)
        assert least <= record["octets_out"] <= most, (size, record)
