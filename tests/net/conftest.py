"""One laboratory per test worker, servers when a test first asks for them, a gateway per test."""

import pytest

import lab as L
import servers
from gateway import Gateway
from peers import FakeServer, RawClient


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


@pytest.fixture
def gateway(lab, dns):
    """Starts gateways: gateway(server, **settings); server: a FakeServer, Postfix, or address."""
    made = []

    def make(to, **options):
        if isinstance(to, FakeServer):
            to = (to.address, to.port)
        elif hasattr(to, "address"):
            to = to.address
        made.append(Gateway(lab, to, **options))
        return made[-1]

    yield make
    faults = []
    for one in made:
        try:
            one.stop()
        except AssertionError as fault:
            faults.append(fault)
    assert not faults, faults


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
