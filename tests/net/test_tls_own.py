"""
The gateway's own certificate: mail from outside to a server inside whose key it does not have is looked
into all the same. SECURITY case T-014 where senders do verify.
"""

import subprocess

import pytest

import lab as L
from gateway import BINARY
from peers import EHLO, RawClient
from retrieval_peers import FakeImap
from tls_peers import Certificate, TlsClient, client_context, starttls_reply

MODES = ["forward", "tproxy"]
TLS = (*EHLO, "STARTTLS")


class Own:
    """What "postern certificate make" makes."""

    def __init__(self, folder):
        self.chain, self.key = folder / "own.pem", folder / "own.key"

    def make(self, *options):
        return subprocess.run([BINARY, "certificate", "make", *options, self.chain, self.key],
                              capture_output=True, text=True, check=False)

    @property
    def settings(self):
        return {"own_certificate": str(self.chain), "own_key": str(self.key)}


@pytest.fixture
def own(client_folder):
    one = Own(client_folder)
    done = one.make("--name", "gateway.campus.example")
    assert done.returncode == 0, done.stderr
    return one


@pytest.fixture
def tls_fake(fake, theirs):
    def start(**options):
        return fake(ehlo=TLS, replies={"STARTTLS": starttls_reply(theirs.server_context())},
                    **{"port": 25, **options})

    return start


def upgraded(gate, **options):
    """A client that is in TLS, and the certificate that it was shown, as OpenSSL prints it."""
    client = gate.client(cls=TlsClient, **options)
    client.hello()
    shown = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject", "-ext",
                            "subjectAltName"], input=client.sock.getpeercert(True),
                           capture_output=True, check=True).stdout.decode()
    return client, shown


def tls_record(gate):
    return gate.record("tls")["tls"]


def test_the_relay_check_sees_through(tls_fake, gateway, own):
    server = tls_fake()
    gate = gateway(server, tls=own.settings)
    client, shown = upgraded(gate)
    with client:
        assert "gateway.campus.example" in shown
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<r@evil.example>").is_(550, "5.7.1")
        assert client.cmd("RCPT TO:<otto@campus.example>").code == 250
        assert client.data(b"Subject: seen\r\n\r\nx\r\n.\r\n").code == 250
    assert [m.recipients for m in server.mails] == [["otto@campus.example"]]
    said = tls_record(gate)
    assert (said["action"], said["rule"], said["reason"]) == ("intercepted", "starttls",
                                                             "own_certificate")
    verdict = gate.record("smtp", lambda r: "verdict" in r)["verdict"]
    assert verdict["reason"] == "not_local"


@pytest.mark.parametrize("tls", [["--tls"], ["--tls-optional"]], ids=" ".join)
def test_swaks_before_postfix(lab, campus, gateway, mode, own, tls):
    """A sender that uses TLS when it can: it takes the certificate, and the mail is looked into."""
    gate = gateway(campus, tls=own.settings)
    to = campus.address if mode == "tproxy" else L.GATEWAY
    sent = ["swaks", "--server", to, "--helo", "client.good.example", "--from", "anna@good.example",
            *tls, "--header", "Subject: own", "--body", "hello"]
    done = lab.client.run(*sent, "--to", "otto@campus.example")
    assert done.returncode == 0, done.stdout
    assert "TLS started" in done.stdout
    assert campus.box.wait("Subject: own")
    done = lab.client.run(*sent, "--to", "r@evil.example")
    assert done.returncode == 24 and "550 5.7.1" in done.stdout, done.stdout
    assert tls_record(gate)["reason"] == "own_certificate"


def test_a_client_that_verifies_does_not_take_it(tls_fake, gateway, own, theirs):
    gate = gateway(tls_fake(), tls=own.settings)
    with gate.client(cls=TlsClient) as client:
        RawClient.hello(client)
        with pytest.raises(Exception, match="certificate verify failed"):
            client.upgrade(client_context(trusted=theirs))
    assert gate.record("tls")["tls"]["failure"] == "tls_alert"


# ---- whom it is not for ----


@pytest.mark.parametrize("mode", ["tproxy"])
def test_not_for_roaming_users(tls_fake, gateway, own):
    """Port 587: they verify, and are refused as ever where a check would go blind."""
    gate = gateway(tls_fake(port=587), tls=own.settings)
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").is_(454, "4.7.0")


def test_not_for_clients_inside(tls_fake, gateway, own, theirs):
    server = tls_fake()
    gate = gateway(server, tls=own.settings)
    with gate.client(cls=TlsClient, source=L.CLIENT_INSIDE) as client:
        client.hello()
        assert client.sock.getpeercert(True) == theirs.fingerprint
        assert client.cmd("QUIT").code == 221
    assert tls_record(gate)["action"] == "passed"


def test_not_for_other_protocols(lab, gateway, own):
    offers = FakeImap.CAPABILITIES + " STARTTLS"
    with FakeImap(lab.server, L.FAKE, capabilities=offers) as server:
        gate = gateway((server.address, server.port), protocol="imap", tls=own.settings,
                       imap={"starttls": "intercept"})
        with gate.client() as client:
            assert client.cmd("STARTTLS").status == "NO"
        assert b"STARTTLS" not in server.octets


def test_the_servers_own_certificate_goes_first(tls_fake, gateway, own, ours):
    server = tls_fake()
    gate = gateway(server, tls=own.settings, certificate={"mx": {
        **ours.section, "names": ["mx.campus.example"], "servers": ["10.99.0.0/16"]}})
    client, shown = upgraded(gate)  # by its name, wherever the server is
    with client:
        assert "gateway" not in shown and "mx.campus.example" in shown


@pytest.mark.parametrize("rule", ["servers", "towards"])
def test_a_rule_turns_it_off_T_014(tls_fake, gateway, own, theirs, rule):
    """For servers whose senders do verify."""
    server = tls_fake()
    which = {"servers": [f"{server.address}/32"]} if rule == "servers" else {"towards": "inside"}
    gate = gateway(server, tls=own.settings,
                   tls_rule={"dane": {"protocols": ["smtp"], **which, "action": "pass"}})
    with gate.client(cls=TlsClient) as client:
        RawClient.hello(client)
        client.upgrade(client_context(trusted=theirs), name=theirs.name)
        assert client.cmd("QUIT").code == 221
    said = tls_record(gate)
    assert (said["action"], said["rule"]) == ("passed", "dane")


def test_words_of_starttls_hold(tls_fake, gateway, own):
    server = tls_fake()
    for word, code in (("refuse", 454), ("hide", 502)):
        gate = gateway(server, tls=own.settings, smtp={"starttls": word})
        with gate.client() as client:
            client.hello()
            assert client.cmd("STARTTLS").code == code
        gate.stop()
    gate = gateway(server, tls=own.settings, smtp={"starttls": "require"})
    with gate.client(cls=TlsClient) as client:
        RawClient.hello(client)
        assert client.cmd("MAIL FROM:<s@good.example>").is_(530, "5.7.0")
        client.upgrade()
        assert client.cmd("EHLO client.good.example").code == 250
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250


@pytest.mark.parametrize("mode", ["forward"])
def test_a_new_one_by_reload(lab, tls_fake, gateway, own):
    gate = gateway(tls_fake(), tls=own.settings)
    new = Certificate(lab, "new.campus.example")
    gate.configure(tls={"own_certificate": str(new.chain), "own_key": str(new.key)})
    gate.reload()
    client, shown = upgraded(gate)
    with client:
        assert "new.campus.example" in shown


# ---- the command ----


def test_made_once_and_for_its_owner_alone(client_folder):
    one = Own(client_folder)
    done = one.make("--name", "MX.Campus.example")
    assert done.returncode == 0 and "mx.campus.example" in done.stdout, done
    assert one.key.stat().st_mode & 0o7777 == 0o400
    assert one.chain.stat().st_mode & 0o7777 == 0o444
    assert {path.name for path in client_folder.iterdir()} == {"own.pem", "own.key"}
    before = one.key.read_bytes(), one.chain.read_bytes()
    done = one.make()
    assert done.returncode == 0 and "stay as they are" in done.stdout, done
    assert (one.key.read_bytes(), one.chain.read_bytes()) == before
    for lost, kept in ((one.chain, one.key), (one.key, one.chain)):
        text = lost.read_bytes()
        lost.unlink()
        done = one.make()
        assert done.returncode == 1 and "nothing is overwritten" in done.stderr, done
        assert kept.exists() and not lost.exists()
        lost.write_bytes(text)


def test_no_folder_and_no_name(client_folder):
    done = Own(client_folder / "missing").make()
    assert done.returncode == 1 and "No such file" in done.stderr, done
    for wrong in ("a..b", "", "x,DNS:y", "a b"):
        done = Own(client_folder).make("--name", wrong)
        assert done.returncode == 2 and "no host name" in done.stderr, done
    assert not list(client_folder.iterdir())
