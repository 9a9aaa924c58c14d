"""
Servers that ask for a certificate of the client: shown by rule, passed by rule, or told why it failed.
SECURITY case T-012.
"""

import ssl
import time

import pytest

from peers import EHLO, Closed, RawClient
from test_tls_implicit import Server
from tls_peers import Certificate, TlsClient, TlsConversation, client_context

TLS = (*EHLO, "STARTTLS")
both = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture(scope="session")
def shown(lab):
    """What the gateway has for such a server."""
    return Certificate(lab, "campus.example")


def asking(certificate, trusted, version, optional=False):
    context = certificate.server_context(version)
    context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
    context.load_verify_locations(trusted.chain)
    return context


@pytest.fixture
def bank(fake, theirs, shown):
    """bank(version): a server that lets nobody in whom it does not know; .seen: whom it saw."""

    def make(version, optional=False, implicit=False):
        context = asking(theirs, shown, version, optional)
        seen = []

        def begin(conversation, line):
            conversation.send(b"220 go\r\n")
            conversation.__class__ = TlsConversation
            conversation.wrap_with(context, server_side=True, do_handshake_on_connect=False)
            try:
                conversation.sock.do_handshake()
            except ssl.SSLError:
                time.sleep(0.3)  # a close with octets that nobody read would take the alert along
                raise
            seen.append(conversation.sock.getpeercert(True))
            return b""

        if implicit:
            script = Server(theirs)
            script.context = context
            server = fake(script=script)
            script.dialogue = server.serve
        else:
            server = fake(ehlo=TLS, replies={"STARTTLS": begin})
        server.seen = seen
        return server

    return make


@pytest.fixture
def gate(gateway, ours, shown):
    def start(server, rule=None, **settings):
        sections = {"certificate": {"mx": ours.section}, **settings}
        if rule is not None:
            sections["tls_rule"] = {"bank": {"servers": [server.address], **rule}}
        return gateway(server, smtp={"starttls": "intercept"}, **sections)

    return start


def mail(gate):
    with gate.client(cls=TlsClient) as client:
        client.hello()
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250


@both
@pytest.mark.parametrize("optional", [False, True], ids=["required", "optional"])
def test_the_one_of_the_rule_is_shown_T_012(gate, bank, shown, version, optional):
    server = bank(version, optional)
    mine = gate(server, {"client_certificate": "us"}, client_certificate={"us": shown.section})
    mail(mine)
    assert server.seen == [shown.fingerprint] and len(server.mails) == 1
    record = mine.record("tls")
    assert record["upstream"]["client_certificate"] == "us"
    assert record["tls"]["rule"] == "bank" and "failure" not in record["tls"]


@both
def test_a_server_that_only_would_like_one_T_012(gate, bank, version):
    server = bank(version, optional=True)
    mine = gate(server)
    mail(mine)
    assert server.seen == [None]
    record = mine.record("tls")
    assert record["upstream"]["client_certificate"] == "none" and "failure" not in record["tls"]


@both
@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "implicit"])
def test_none_to_show_T_012(gate, bank, version, implicit):
    """The record says why it failed, and how this server would be let by."""
    server = bank(version, implicit=implicit)
    mine = gate(server, forward={"mx": {"implicit_tls": implicit}})
    with mine.client(cls=TlsClient) as client:
        try:
            if implicit:
                client.wrap()
                RawClient.hello(client)
            else:
                client.hello()
            pytest.fail("it was let in")
        except (AssertionError, Closed, ssl.SSLError, OSError):
            pass
    record = mine.record("tls", lambda r: r["tls"].get("failure") == "tls_client_certificate")
    assert record["upstream"]["client_certificate"] == "none"
    if not (implicit and version == "1.3"):  # the server is gone with its alert
        assert record["upstream"]["server_alert"] in (40, 116)  # handshake_failure, certificate_required
    rule = record["tls"]["rule_to_pass"]
    assert rule == (f'tls_rule "pass-{server.address}" {{ protocols = {{"smtp"}} '
                    f'servers = {{"{server.address}"}} action = pass }}')
    assert not server.mails


@both
def test_the_rule_of_the_record_passes_it_T_012(gate, bank, shown, version):
    """As it stands there: the client shows its own."""
    server = bank(version)
    mine = gate(server)
    with mine.client(cls=TlsClient) as client:
        with pytest.raises((AssertionError, Closed, ssl.SSLError, OSError)):
            client.hello()
    rule = mine.record("tls", lambda r: "rule_to_pass" in r["tls"])["tls"]["rule_to_pass"]
    text = mine.file.read_text()
    mine.file.write_text(text + rule + "\n")
    mine.reload()
    context = client_context(version)
    context.load_cert_chain(shown.chain, shown.key)
    with mine.client(cls=TlsClient) as client:
        client.context = context
        client.hello()
        client.envelope()
    assert server.seen[-1] == shown.fingerprint


@both
def test_another_than_the_server_knows_T_012(lab, gate, bank, version):
    """It was shown, and that was not enough: no rule of ours is advised."""
    stranger = Certificate(lab, "stranger.example")
    server = bank(version)
    mine = gate(server, {"client_certificate": "us"}, client_certificate={"us": stranger.section})
    with mine.client(cls=TlsClient) as client:
        with pytest.raises((AssertionError, Closed, ssl.SSLError, OSError)):
            client.hello()
    record = mine.record("tls", lambda r: r["tls"].get("failure") == "tls_alert")
    assert record["upstream"]["client_certificate"] == "us" and "rule_to_pass" not in record["tls"]


def test_a_reload_shows_the_new_one_T_012(lab, gate, bank, shown, tmp_path):
    own = {"chain": tmp_path / "chain.pem", "key": tmp_path / "key.pem"}
    stranger = Certificate(lab, "stranger.example")

    def put(certificate):
        own["chain"].write_bytes(certificate.chain.read_bytes())
        own["key"].write_bytes(certificate.key.read_bytes())
        own["key"].chmod(0o600)

    put(stranger)
    server = bank("1.2")
    mine = gate(server, {"client_certificate": "us"},
                client_certificate={"us": {name: str(path) for name, path in own.items()}})
    put(shown)
    mine.reload()
    mail(mine)
    assert server.seen[-1] == shown.fingerprint
