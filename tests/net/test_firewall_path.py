"""Where packets go by the tables alone: a relay of a few lines stands in for a worker."""

import contextlib
import errno
import select
import socket
import struct
import threading

import pytest

import lab as L
from firewall import Holder
from gateway import render
from lab import Lab, wait_for

IP_TRANSPARENT, IPV6_TRANSPARENT, SO_ORIGINAL_DST = 19, 75, 80
MARK, OWN_MARK = 0x01000000, 0x02000000
GATEWAY_INSIDE = L.INSIDE4 + "1"
FAMILIES = {"IPv4": (L.CLIENT, L.MX, L.GATEWAY, L.INSIDE4 + "1"),
            "IPv6": (L.CLIENT6, L.MX6, L.GATEWAY6, L.INSIDE6 + "1")}


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Service:
    """Accepts in a namespace, hands each connection to a thread, until it is closed."""

    def __init__(self, namespace, address, port, serve, transparent=False):
        self.listener = namespace.tcp(family_of(address))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transparent:
            set_transparent(self.listener)
        self.listener.bind((address, port))
        self.listener.listen(64)
        self.serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def set_transparent(sock):
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)


def say_peer(peer):
    """A server: says whom it sees, then echoes."""
    with peer, contextlib.suppress(ConnectionError):
        peer.sendall(peer.getpeername()[0].encode() + b"\n")
        while octets := peer.recv(65536):
            peer.sendall(octets)


class Relay:
    """Stands in for a worker; notes destinations, and errors of connects."""

    def __init__(self, gateway, redirect=False, ports=(30001,)):
        self.gateway, self.redirect = gateway, redirect
        self.destinations, self.errors = [], []
        self.services = []
        for address in ("0.0.0.0", "::") if redirect else ("127.0.0.1", "::1"):
            for port in ports:
                self.services.append(Service(gateway, address, port, self._relay, not redirect))

    def _original(self, client):
        if not self.redirect:
            return client.getsockname()[:2]
        if client.family == socket.AF_INET:
            raw = client.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16)
            return socket.inet_ntoa(raw[4:8]), struct.unpack("!H", raw[2:4])[0]
        raw = client.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack("!H", raw[2:4])[0]

    def _relay(self, client):
        destination = self._original(client)
        self.destinations.append(destination)
        server = self.gateway.tcp(client.family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OWN_MARK)
        if not self.redirect:
            set_transparent(server)
            server.bind((client.getpeername()[0], 0))
        server.settimeout(5)
        with client, server:
            try:
                server.connect(destination)
            except OSError as error:
                self.errors.append(error)
                return
            with contextlib.suppress(ConnectionError):
                self._pump(client, server)

    @staticmethod
    def _pump(client, server):
        while True:
            for a in select.select([client, server], [], [])[0]:
                octets = a.recv(65536)
                if not octets:
                    return
                (server if a is client else client).sendall(octets)

    def close(self):
        for service in self.services:
            service.close()


class Path(Lab):
    """client -- gateway -- server, with a server on ports 25 and 2000, and a relay."""

    def __init__(self):
        super().__init__()
        self.count = 0
        for address in (L.MX, L.MX6):
            for port in (25, 2000):
                self.at_end(Service(self.server, address, port, say_peer).close)

    def relay(self, **options):
        relay = Relay(self.gateway, **options)
        self.at_end(relay.close)
        return relay

    def config(self, **intercept):
        self.count += 1
        path = self.dir / f"path{self.count}.conf"
        path.write_text(render({"inside": ["10.0.0.0/8"], "user": "nobody",
                                "intercept": {"mode": "tproxy", **intercept}}) + "\n")
        return path

    def hold(self, **intercept):
        holder = Holder(self.gateway, self.config(**intercept))
        self.at_end(holder.close)
        assert holder.first == "ready", holder.error()
        return holder

    def nft(self, text):
        done = self.gateway.run("nft", "-f", "-", input=text)
        assert done.returncode == 0, done.stderr

    def open(self, source, address, port=25, source_port=0):
        sock = self.client.tcp(family_of(address))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(3)
        sock.bind((source, source_port))
        sock.connect((address, port))
        return sock

    def seen(self, source, address, port=25, **options):
        """Whom the server sees; a megabyte goes there and back too."""
        with self.open(source, address, port, **options) as sock:
            with sock.makefile("rb") as lines:
                seen = lines.readline().decode().strip()
                octets = bytes(range(256)) * 4096
                threading.Thread(target=sock.sendall, args=(octets,), daemon=True).start()
                assert lines.read(len(octets)) == octets
        return seen

    def refused(self, source, address, port=25):
        try:
            self.open(source, address, port).close()
        except ConnectionRefusedError:
            return True
        return False


@pytest.fixture
def path():
    with Path() as made:
        yield made


@pytest.fixture(params=FAMILIES)
def ends(request):
    return FAMILIES[request.param]


DROP = """
table inet admin {
	chain input { type filter hook input priority 0; policy drop;
		iifname lo accept
		meta l4proto ipv6-icmp accept
		%s
	}
	chain forward { type filter hook forward priority 0; policy drop;
		ct state established,related accept
		%s
	}
	chain output { type filter hook output priority 0; policy drop;
		ct state established,related accept
		meta l4proto ipv6-icmp accept
		%s
	}
}
"""
MARKED = f"meta mark & 0x03000000 == {MARK:#x} accept"
OWN = f"meta mark & 0x03000000 == {OWN_MARK:#x} accept"


@pytest.mark.parametrize("options", [{}, {"devices": ["outside"]}], ids=["any", "devices"])
def test_through(path, ends, options):
    """D1, D3: both ends see each other's addresses; what the server answers comes elsewhere."""
    client, server, _, _ = ends
    relay = path.relay()
    path.hold(**options)
    assert path.seen(client, server) == client
    assert relay.destinations == [(server, 25)]


def test_other_device(path, ends):
    """D9"""
    client, server, _, _ = ends
    relay = path.relay()
    path.hold(devices=["other"])
    assert path.seen(client, server) == client
    assert relay.destinations == []


def test_other_ports(path, ends):
    client, server, _, _ = ends
    relay = path.relay()
    path.hold()
    assert path.seen(client, server, 2000) == client
    assert relay.destinations == []


@pytest.mark.parametrize("options", [{"bypass": [L.CLIENT, L.CLIENT6]},
                                     {"bypass_servers": ["10.25.0.0/24", "fd00:25::/64"]}],
                         ids=["bypass", "bypass_servers"])
def test_bypass(path, ends, options):
    client, server, _, _ = ends
    relay = path.relay()
    holder = path.hold(**options)
    assert path.seen(client, server) == client
    holder.kill()  # the guard lets them by as well
    wait_for(lambda: path.seen(client, server) == client, 2, "direct")
    assert relay.destinations == []


def test_running_session_survives_reload(path, ends):
    """R1: sessions keep what they began with, also when their client is not touched any more."""
    client, server, _, _ = ends
    relay = path.relay()
    holder = path.hold()
    with path.open(client, server) as sock, sock.makefile("rb") as lines:
        assert lines.readline().decode().strip() == client
        assert holder.ask("reload", path.config(bypass=[client], devices=["inside"])) == "done"
        sock.sendall(b"still here\n")
        assert lines.readline() == b"still here\n"
    assert path.seen(client, server) == client
    assert len(relay.destinations) == 1


NAT = {
    "dnat": """chain pre { type nat hook prerouting priority dstnat
        iifname outside tcp dport 25 fib daddr type local dnat to SERVER
    }
    """,
    "masquerade": """chain post { type nat hook postrouting priority srcnat
        oifname inside masquerade
    }
    """,
}
NAT["both"] = NAT["dnat"] + NAT["masquerade"]


@pytest.mark.parametrize("kind", NAT)
def test_nat_on_the_same_box(path, ends, kind):
    """D1"""
    client, server, gateway, inside = ends
    relay = path.relay()
    ip = "ip6" if ":" in server else "ip"
    path.nft(f"table {ip} nat {{\n{NAT[kind].replace('SERVER', server)}}}\n")
    path.hold()
    address = server if kind == "masquerade" else gateway
    assert path.seen(client, address) == (client if kind == "dnat" else inside)
    assert relay.destinations == [(server, 25)]


def test_default_drop(path, ends):
    """The two rules are what a firewall needs that drops by default, and it needs them."""
    client, server, _, _ = ends
    relay = path.relay()
    path.nft(DROP % ("", "", OWN))
    holder = path.hold()
    with pytest.raises(TimeoutError):
        path.open(client, server)
    path.nft("delete table inet admin\n" + DROP % (MARKED, OWN, OWN))
    assert path.seen(client, server) == client
    assert relay.destinations[-1] == (server, 25)
    with pytest.raises(TimeoutError):
        path.open(client, server, 2000)
    assert holder.ask("pass", client, server, 2000, 60) == "done"
    assert path.seen(client, server, 2000) == client


SOURCE_CHECK = """
flush ruleset
table inet firewalld {
	chain filter_PREROUTING { type filter hook prerouting priority filter + 10;
		%s
		fib saddr . mark . iif oif missing drop
	}
}
"""


def test_source_check_with_the_mark(path, ends):
    """As firewalld has it for IPv6: it finds every client at lo, unless the mark is let by."""
    client, server, _, _ = ends
    path.relay()
    path.hold()
    path.nft(SOURCE_CHECK % "")
    with pytest.raises(TimeoutError):
        path.open(client, server)
    path.nft(SOURCE_CHECK % MARKED)
    assert path.seen(client, server) == client


RESTORE = """
table inet admin {
	chain restore { type filter hook prerouting priority mangle;
		ct mark != 0 meta mark set ct mark
	}
	chain save { type filter hook prerouting priority filter;
		meta mark != 0 ct mark set meta mark
	}
}
"""


# A client that is switched off: its connections stay in the gateway's connection tracking.
SILENT = """
table inet silent {
	chain output { type filter hook output priority 0; policy drop;
	}
}
"""


def test_marks_of_connections_open_nothing(path, ends):
    """An administrator who keeps marks by connection: ours comes back when no gateway gives it."""
    client, server, _, _ = ends
    relay = path.relay()
    holder = path.hold()
    path.nft(RESTORE)
    with path.open(client, server, source_port=4444) as sock:
        assert sock.recv(64).decode().strip() == client
        assert holder.ask("stop") == "done"
        relay.close()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert path.client.run("nft", "-f", "-", input=SILENT).returncode == 0
    assert path.client.run("nft", "flush", "ruleset").returncode == 0
    assert relay.destinations == [(server, 25)]
    with pytest.raises(ConnectionRefusedError):
        path.open(client, server, source_port=4444)


def test_killed(path, ends):
    """A-001: killed: refused at once, whoever listens; started again: through. Never a way by."""
    client, server, _, _ = ends
    relay = path.relay()
    holder = path.hold()
    assert path.seen(client, server) == client
    sock = path.open(client, server)
    assert sock.recv(100).decode().strip() == client
    holder.kill()
    wait_for(lambda: path.refused(client, server), 2, "refused")
    sock.sendall(b"cut\n")
    with pytest.raises(ConnectionResetError):
        sock.recv(100)
    sock.close()
    count = len(relay.destinations)
    assert path.refused(client, server) and len(relay.destinations) == count
    assert path.seen(client, server, 2000) == client
    path.hold()
    assert path.seen(client, server) == client
    assert len(relay.destinations) == count + 1


def test_never_started(path, ends):
    """A-001: only the guard is there."""
    client, server, _, _ = ends
    assert path.seen(client, server) == client
    assert path.hold().ask("stop") == "done"
    assert path.refused(client, server)


def test_nobody_listens(path, ends):
    """A-001: tproxy lets packets go on when there is no listener; the guard does not."""
    client, server, _, _ = ends
    path.hold()
    assert path.refused(client, server)


def test_bypass_on_exit(path, ends):
    """A-003"""
    client, server, _, _ = ends
    relay = path.relay()
    holder = path.hold(on_exit="bypass")
    assert path.seen(client, server) == client and len(relay.destinations) == 1
    holder.kill()
    assert wait_for(lambda: path.seen(client, server) == client, 2, "direct")
    assert len(relay.destinations) == 1


def test_older_session(path, ends):
    """Sessions older than the gateway are cut by block and let by under bypass."""
    client, server, _, _ = ends
    path.relay()
    for on_exit in ("bypass", "block"):
        with path.open(client, server) as sock, sock.makefile("rb") as lines:
            lines.readline()
            holder = path.hold(on_exit=on_exit)
            sock.sendall(b"old\n")
            if on_exit == "bypass":
                assert lines.readline() == b"old\n"
                holder.ask("stop")
            else:
                with pytest.raises(ConnectionResetError):
                    lines.readline()


@pytest.mark.parametrize("mode", ["tproxy", "redirect"])
def test_loop_guard(path, ends, mode):
    """A-034, D7: nobody talks with the gateway through the gateway, but where it is excepted."""
    client, _, gateway, inside = ends
    relay = path.relay(redirect=mode == "redirect")
    path.at_end(Service(path.gateway, gateway, 25, say_peer).close)
    path.at_end(Service(path.gateway, inside, 25, say_peer).close)
    path.hold(mode=mode, bypass_servers=[gateway])
    assert path.refused(client, inside)
    assert path.seen(client, gateway) == client
    local = path.gateway.tcp(family_of(gateway))  # a mail server's own users
    local.settimeout(3)
    local.connect((inside, 25))
    local.close()
    assert relay.destinations == []


def test_time_wait_does_not_swallow(path, ends):
    """A socket of ours in TIME_WAIT, and the client comes again from the same port."""
    client, server, _, _ = ends

    def close_first(peer):
        peer.sendall(b"bye\n")
        peer.close()

    for address in ("127.0.0.1", "::1"):
        path.at_end(Service(path.gateway, address, 30001, close_first, True).close)
    path.hold()
    for _ in range(3):
        with path.open(client, server, source_port=40000) as sock, sock.makefile("rb") as lines:
            assert lines.read() == b"bye\n"


def test_data_connection(path, ends):
    """D6: a flow that is expected comes to its worker, another does not, and only for its time."""
    client, server, _, _ = ends
    relay = path.relay(ports=(30019,))
    holder = path.hold(devices=["outside"])
    path.nft(DROP % (MARKED, "iifname outside accept", OWN))
    assert holder.ask("expect", client, server, 2000, 30019, 60) == "done"
    assert path.seen(client, server, 2000) == client
    assert relay.destinations == [(server, 2000)]
    other = L.CLIENT_OTHER if family_of(client) == socket.AF_INET else L.OUTSIDE6 + "3"
    assert path.seen(other, server, 2000) == other
    assert holder.ask("forget", "data", client, server, 2000) == "done"
    assert path.seen(client, server, 2000) == client
    assert len(relay.destinations) == 1


def test_icmp_errors_come_back(path, ends):
    """A-027: what a router says about a packet that left with a client's address."""
    client, server, _, _ = ends
    v6 = family_of(client) == socket.AF_INET6
    nowhere, network = ("fd00:99::1", "fd00:99::/64") if v6 else ("10.99.0.1", "10.99.0.0/24")
    path.gateway.ip(f"route add {network} via {server}")
    path.server.sysctl("ipv4/ip_forward", 1)
    path.server.sysctl("ipv6/conf/all/forwarding", 1)
    path.server.ip(f"route add prohibit {network}")
    relay = path.relay()
    path.hold()
    path.open(client, nowhere).close()
    wait_for(lambda: relay.errors, 4, "the connect to end before its five seconds")
    assert relay.errors[0].errno in (errno.EHOSTUNREACH, errno.EACCES)


def test_redirect(path, ends):
    """D2: the server sees the gateway, the gateway knows the server; the guard is not in the way."""
    client, server, _, inside = ends
    relay = path.relay(redirect=True)
    path.nft(DROP % (MARKED + "\nct direction reply ct state established accept", OWN, OWN))
    holder = path.hold(mode="redirect", devices=["outside"])
    assert path.seen(client, server) == inside
    assert relay.destinations == [(server, 25)]
    holder.kill()
    wait_for(lambda: path.refused(client, server), 2, "refused")
    path.hold(mode="redirect")
    assert path.seen(client, server) == inside


def test_redirect_data_connection(path, ends):
    client, server, _, inside = ends
    relay = path.relay(redirect=True, ports=(30019,))
    holder = path.hold(mode="redirect")
    path.nft(DROP % (MARKED + "\nct direction reply ct state established accept", "", OWN))
    assert holder.ask("expect", client, server, 2000, 30019, 60) == "done"
    assert path.seen(client, server, 2000) == inside
    assert relay.destinations == [(server, 2000)]


def test_redirect_bypass(path, ends):
    client, server, _, _ = ends
    relay = path.relay(redirect=True)
    path.hold(mode="redirect", bypass=[client])
    assert path.seen(client, server) == client and relay.destinations == []
