"""
SMTP under TLS that ends at the gateway and begins anew towards the server: SECURITY cases N-001,
N-005, N-006, N-016 to N-021, T-010, T-018 to T-021; FIELD rows T1, T12, T16, T17.
"""

import pytest

import lab as L
from peers import EHLO
from tls_peers import Certificate, TlsClient, client_context, starttls_reply

MODES = ["forward", "tproxy"]
TLS = (*EHLO, "STARTTLS")


@pytest.fixture(scope="session")
def ours(lab):
    """What the gateway shows of the servers inside."""
    return Certificate(lab, "mx.campus.example")


@pytest.fixture(scope="session")
def theirs(lab):
    """What scripted servers have themselves."""
    return Certificate(lab, "fake.campus.example", rsa=True)


@pytest.fixture
def tls_gateway(gateway, ours):
    def start(to=None, **settings):
        smtp = {"starttls": "intercept", **settings.pop("smtp", {})}
        return gateway(to, smtp=smtp, certificate={"mx": ours.section}, **settings)

    return start


@pytest.fixture
def tls_fake(fake, theirs):
    def start(version=None, before=b"220 2.0.0 go ahead\r\n", **options):
        replies = {"STARTTLS": starttls_reply(theirs.server_context(version), before),
                   **options.pop("replies", {})}
        return fake(ehlo=options.pop("ehlo", TLS), replies=replies, **options)

    return start


def connect(gate, **options):
    return gate.client(cls=TlsClient, **options)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_mail_T1_T12(tls_fake, tls_gateway, ours, version):
    server = tls_fake(version)
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.context = client_context(version, ours)
        client.hello()
        assert client.sock.version() == f"TLSv{version}"
        assert client.sock.getpeercert(True) == ours.fingerprint
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\n..dot\r\n.\r\n").code == 250
        assert client.cmd("QUIT").code == 221
        assert client.closed()
    assert server.ended().verbs() == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert server.mails[0].content == b"Subject: x\r\n\r\n.dot\r\n"
