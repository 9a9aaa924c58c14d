"""One laboratory per test worker, servers when a test first asks for them, a gateway per test."""

import os
import tempfile
from pathlib import Path

import pytest

import lab as L
import servers
import wired
from ftp_peers import FakeFtp
from ftp_servers import FtpServer
from gateway import Gateway
from outside_peers import NAME, PORTS as TLS_PORTS, Authorities, Issued, outside_server
from mail_servers import Cyrus, Dovecot, MailServer
from peers import FakeServer, RawClient
from tls_ftp_peers import TlsFtp
from tls_peers import Certificate, TlsClient, TlsImap, TlsPop3


WIRED = bool(os.environ.get("WIRE"))  # every session is held against what "postern read" says of it


def pytest_collection_modifyitems(items):
    if WIRED:
        items[:] = [item for item in items if wired.chosen(item.path.stem, item.originalname)]


def pytest_generate_tests(metafunc):
    """
    A module with MODES = [...] runs each of its tests that starts a gateway in each of them, but
    for those that say themselves in which.
    """
    modes = getattr(metafunc.module, "MODES", None)
    own = any(m.args[0] == "mode" for m in metafunc.definition.iter_markers("parametrize"))
    if modes and "mode" in metafunc.fixturenames and not own:
        metafunc.parametrize("mode", modes)


@pytest.fixture
def mode():
    """How gateways get their sessions; MODES, or a parametrize, of a test says otherwise."""
    return "forward"


@pytest.fixture(scope="session")
def lab():
    with L.Lab() as one:
        yield one


@pytest.fixture(scope="session")
def dns(lab):
    return servers.Dns(lab)


@pytest.fixture(scope="session")
def _campus(lab):
    return servers.campus_mx(lab)


@pytest.fixture(scope="session")
def _exim(lab):
    return servers.Exim(lab)


@pytest.fixture(scope="session")
def _relay(lab):
    return servers.open_relay(lab)


@pytest.fixture
def campus(_campus):
    """The ordinary Postfix, its mailbox empty."""
    _campus.settle()
    _campus.box.clear()
    return _campus


@pytest.fixture
def exim(_exim):
    _exim.box.clear()
    return _exim


@pytest.fixture
def open_relay(_relay):
    """(Postfix that relays for everybody, the sink where all of it ends), the sink empty."""
    postfix, sink = _relay
    sink.mails.clear()
    return postfix, sink


@pytest.fixture
def fake(lab):
    """Makes scripted servers: fake(ehlo=..., replies=..., script=...)."""
    made = []

    def make(address=L.FAKE, **options):
        made.append(FakeServer(lab.server, address, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


def gateways(lab, mode):
    """Makes gateways in lab, and at the end holds each of them to what it promises."""
    made, watch = [], wired.Watch(lab) if WIRED else None

    def make(to=None, **options):
        if watch:
            watch.begin(options)
        options.setdefault("protocol", getattr(to, "protocol", "smtp"))
        if isinstance(to, (FtpServer, MailServer)):
            options.setdefault("to6", to.address6)
        if isinstance(to, FakeServer):
            to = (to.address, to.port)
        elif hasattr(to, "address"):
            to = to.address
        made.append(Gateway(lab, to, **{"mode": mode, **options}))
        return made[-1]

    yield make
    faults = []
    if watch:
        try:
            watch.end(made)
        except Exception as fault:
            faults.append(fault)
    for one in reversed(made):
        try:
            one.stop()
        except Exception as fault:  # whatever it is, the next test must not find its remains
            faults.append(fault)
            if one.process.poll() is None:
                one.kill()
            one.release()
    assert not faults, faults


@pytest.fixture
def gateway(lab, dns, mode):
    """Starts gateways: gateway(server, **settings); server: a FakeServer, Postfix, or address."""
    yield from gateways(lab, mode)


@pytest.fixture(scope="session")
def _perimeter():
    with L.Perimeter() as one:
        servers.Dns(one)
        yield one


@pytest.fixture
def perimeter(_perimeter):
    """A laboratory with an administrator's firewall; it is as at the beginning for each test."""
    _perimeter.firewall()
    return _perimeter


@pytest.fixture
def guarded(perimeter):
    """Starts gateways in the perimeter, transparent ones: guarded(server, **settings)."""
    yield from gateways(perimeter, "tproxy")


# What an administrator has to open for a gateway in forward mode, which marks nothing, and in
# redirect mode for servers that call the gateway itself.
DATA_PORTS = "tcp dport 40000-44999 accept"
OPENED = "tcp dport 21 accept; " + DATA_PORTS
SENDING = "meta l4proto tcp accept"


@pytest.fixture
def ftp_gateway(perimeter, mode):
    """
    Starts gateways for FTP in the perimeter, whose firewall drops what it does not know:
    ftp_gateway(server, **settings).
    """
    if mode == "forward":
        perimeter.firewall(taken=OPENED, sending=SENDING)
    elif mode == "redirect":
        perimeter.firewall(taken=f"{L.TAKEN}; {DATA_PORTS}")
    yield from gateways(perimeter, mode)


@pytest.fixture(scope="session")
def _ftp_servers(_perimeter):
    return {}


@pytest.fixture
def ftp_server(_perimeter, _ftp_servers):
    """Gives real FTP servers in the perimeter by name, each with nothing in it."""

    def get(name):
        if name not in _ftp_servers:
            _ftp_servers[name] = FtpServer(_perimeter, name)
        _ftp_servers[name].clear()
        return _ftp_servers[name]

    return get


@pytest.fixture(params=["vsftpd", "pureftpd", "proftpd"])
def ftpd(request, ftp_server):
    """Each real FTP server in turn."""
    return ftp_server(request.param)


@pytest.fixture
def vsftpd(ftp_server):
    return ftp_server("vsftpd")


@pytest.fixture(scope="session")
def mail_server(lab):
    """Gives a real server of POP3 and IMAP, started when first asked for; its accounts are new ones."""
    started = {}

    def get(name):
        if name not in started:
            started[name] = {"dovecot": Dovecot, "cyrus": Cyrus}[name](lab)
        return started[name]

    return get


@pytest.fixture(params=["dovecot", "cyrus"])
def mailbox_server(request, mail_server):
    """Each of them in turn."""
    return mail_server(request.param)


@pytest.fixture
def client_folder(lab):
    """An empty folder for a client program, also for one that will not work as root."""
    folder = Path(tempfile.mkdtemp(dir=lab.dir, prefix="client-"))
    folder.chmod(0o755)
    return folder


@pytest.fixture
def dovecot(mail_server):
    return mail_server("dovecot")


@pytest.fixture
def cyrus(mail_server):
    return mail_server("cyrus")


@pytest.fixture
def fake_ftp(lab):
    """Makes scripted FTP servers: fake_ftp(files=..., replies=..., ...)."""
    made = []

    def make(address=L.FAKE, **options):
        made.append(FakeFtp(lab.server, address, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


@pytest.fixture
def tls_ftp(lab, theirs):
    """The same that have AUTH TLS: tls_ftp(version=..., data_certificate=..., files=..., ...)."""
    made = []

    def make(address=L.FAKE, **options):
        made.append(TlsFtp(lab.server, address, theirs, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


@pytest.fixture
def direct(lab):
    """A RawClient straight to a server, past any gateway: shows what the gateway prevents."""
    made = []

    def make(to, port=25, **options):
        made.append(RawClient(lab.client, to, port, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def ours(lab):
    """What the gateway shows of the servers inside."""
    return Certificate(lab, "mx.campus.example")


@pytest.fixture(scope="session")
def theirs(lab):
    """What scripted servers have themselves."""
    return Certificate(lab, "fake.campus.example", rsa=True)


@pytest.fixture(scope="session")
def tls_dovecot(lab, theirs):
    return Dovecot(lab, "tls-dovecot", (L.TLS_DOVECOT, L.TLS_DOVECOT6), certificate=theirs)


# ---- servers outside, under TLS ----

TLS_CLIENTS = {"smtp": TlsClient, "pop3": TlsPop3, "imap": TlsImap}


@pytest.fixture(scope="session")
def authorities(lab):
    return Authorities(lab)


@pytest.fixture(scope="session")
def world(lab):
    """The CA of the servers outside, which the gateway trusts."""
    return Certificate(lab, "ca.world.example")


@pytest.fixture(scope="session")
def good(lab, world):
    return Issued(lab, issuer=world, subject="/C=DE/L=Town/O=Outside Ltd")


@pytest.fixture
def outside(lab, mode):
    """Makes servers outside: outside("imap", certificate, ...)."""
    made = []

    def make(protocol, certificate, **options):
        namespace, address = (lab.client, L.CLIENT_OTHER) if mode == "tproxy" else (lab.server, L.FAKE)
        if mode == "tproxy" and options.get("implicit", True):
            options.setdefault("port", TLS_PORTS[protocol])
        elif "port" not in options:
            options["port"] = 0
        made.append(outside_server(namespace, address, protocol, certificate, **options))
        made[-1].protocol = protocol
        return made[-1]

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


@pytest.fixture
def intercepting(gateway, authorities, world, mode):
    """Starts a gateway before such a server."""

    def start(server, implicit=True, tls=None, **settings):
        protocol = server.protocol
        section = {"starttls": "intercept", **settings.pop(protocol, {})}
        tls = {**authorities.settings, "trust": str(world.chain), **(tls or {})}
        if mode == "tproxy":
            if implicit:
                section["tls_ports"] = [server.port]
                section["ports"] = [1]
        else:
            settings.setdefault("forward", {"mx": {"implicit_tls": implicit, "outside": True}})
        return gateway(server, protocol=protocol, **{protocol: section}, tls=tls, **settings)

    return start


@pytest.fixture
def connect(lab, mode):
    """A client inside, connected and wrapped."""

    def start(gate, context, name=NAME, **options):
        where = {"source": L.SINK, "namespace": lab.server} if mode == "tproxy" else {}
        client = gate.client(cls=TLS_CLIENTS[gate.protocol], **where, **options)
        if context is not None:
            client.wrap(context, name)
        return client

    return start
