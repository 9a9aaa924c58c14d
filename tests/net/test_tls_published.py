"""
DANE and MTA-STS: where senders verify the certificate of a mail server, nobody stands in between unless a
rule says so. SECURITY cases T-014, T-015; FIELD rows T9, N11.
"""

import subprocess
import time

import pytest

import lab as L
from peers import EHLO, RawClient
from signed_dns import BARE_PORT, SignedDns
from test_tls_own import Own
from tls_peers import TlsClient, client_context, starttls_reply

MODES = ["forward", "tproxy"]
TLS = (*EHLO, "STARTTLS")
RULE = {"all": {"protocols": ["smtp"], "towards": "outside", "action": "intercept"}}


@pytest.fixture(scope="session")
def signed(lab):
    return SignedDns(lab)


@pytest.fixture
def outgoing(fake, gateway, theirs, signed, mode):
    """Mail from our own server to one outside that greets with a name, where all is intercepted."""

    def start(name, address=L.FAKE, **settings):
        server = fake(address, ehlo=TLS, port=25, replies={
            "GREETING": f"220 {name} ESMTP\r\n".encode(),
            "STARTTLS": starttls_reply(theirs.server_context())})
        outside = {"forward": {"mx": {"outside": True}}} if mode == "forward" else {}
        given = {"inside": [f"{L.CLIENT_INSIDE}/32"], "tls_rule": RULE, **signed.settings, **outside}
        return gateway(server, **{**given, **settings})

    return start


def goes_by(gate, theirs):
    """The client sees the server's own certificate; what was recorded."""
    with gate.client(cls=TlsClient, source=L.CLIENT_INSIDE) as client:
        RawClient.hello(client)
        client.upgrade(client_context(trusted=theirs), name=theirs.name)
        assert client.cmd("EHLO client.campus.example").code == 250
        client.envelope("otto@campus.example", "anna@dane.example")
        assert client.data(b"Subject: by itself\r\n\r\nx\r\n.\r\n").code == 250
        assert client.cmd("QUIT").code == 221
    said = gate.record("tls")["tls"]
    assert said["action"] == "passed" and said["rule"] == "published", said
    return said["reason"]


def is_intercepted(gate):
    """There is no CA here to show anything of: that it should have been is what the refusal says."""
    with gate.client(source=L.CLIENT_INSIDE) as client:
        client.hello()
        assert client.cmd("STARTTLS").is_(454, "4.7.0")
    return gate.record("smtp", lambda r: "verdict" in r)["verdict"]["rule"] == "starttls"


@pytest.mark.parametrize("name,reason", [("mx.dane.example", "dane"), ("alone.example", "dane"),
                                         ("mx.sts.example", "mta_sts"),
                                         ("mx1.eu.sts.example", "mta_sts")])
def test_what_senders_verify_passes_T_014_T9_N11(outgoing, theirs, name, reason):
    assert goes_by(outgoing(name), theirs) == reason


def test_by_the_name_of_the_address_T_014(outgoing, theirs):
    assert goes_by(outgoing("localhost", L.FAKE_TWO), theirs) == "dane"


@pytest.mark.parametrize("name", ["mx.plain.example", "nowhere.example", "mx.unsigned.example",
                                  "mx.pkix.example", "mx.short.example", "localhost"])
def test_what_nobody_verifies_does_not_T_014_T_015(outgoing, name):
    """Not signed; of a kind that senders of mail do not use; 19 octets long."""
    assert is_intercepted(outgoing(name))


def test_without_a_rule_it_passes_anyway_T_014(outgoing, theirs):
    gate = outgoing("mx.plain.example", tls_rule={})
    with gate.client(cls=TlsClient, source=L.CLIENT_INSIDE) as client:
        RawClient.hello(client)
        client.upgrade(client_context(trusted=theirs), name=theirs.name)
        assert client.cmd("QUIT").code == 221
    said = gate.record("tls")["tls"]
    assert (said["action"], said["rule"], said["reason"]) == ("passed", "starttls",
                                                             "between_servers")


def test_the_word_intercept_alone_T_014(outgoing, theirs):
    gate = outgoing("mx.dane.example", tls_rule={}, smtp={"starttls": "intercept"})
    assert goes_by(gate, theirs) == "dane"


@pytest.mark.parametrize("name,reason", [("mx.broken.example", "dns_failed"),
                                         ("mx.dane.example", "dns_timeout")])
def test_the_dns_cannot_tell_T_014(outgoing, theirs, name, reason):
    """Forged, or not signed where it should be; silence."""
    dead = {"resolvers": [L.SILENT_DNS], "smtp": {"sender_domain": {"budget": 2}}}
    gate = outgoing(name, **(dead if reason == "dns_timeout" else {}))
    began = time.monotonic()
    assert goes_by(gate, theirs) == reason
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name,known", [("mx.dane.example", True), ("mx.broken.example", False)])
def test_only_what_is_known_T_014(outgoing, theirs, name, known):
    gate = outgoing(name, tls={"published": "pass_known"})
    if known:
        assert goes_by(gate, theirs) == "dane"
    else:
        assert is_intercepted(gate)


def test_whoever_must_see_all_says_so_T_014(outgoing):
    assert is_intercepted(outgoing("mx.dane.example", tls={"published": "ignore"}))


def test_a_resolver_without_signatures_T_014(outgoing, theirs, signed):
    with signed.bare():
        gate = outgoing("mx.dane.example", resolvers=[f"{L.UNBOUND}@{BARE_PORT}"])
        assert goes_by(gate, theirs) == "dns_failed"


@pytest.mark.parametrize("mode", ["forward"])
def test_the_client_waits_and_nobody_else_T_014(outgoing, theirs):
    """Octets that come while the DNS is asked are octets ahead of the handshake."""
    gate = outgoing("mx.dane.example", resolvers=[L.SILENT_DNS],
                    smtp={"sender_domain": {"budget": 3}})
    with gate.client(source=L.CLIENT_INSIDE) as slow, gate.client(source=L.CLIENT_INSIDE) as quick:
        slow.hello()
        quick.hello()
        slow.send(b"STARTTLS\r\n")
        assert slow.silent(0.5)
        assert quick.cmd("NOOP").code == 250
        slow.send(b"MAIL FROM:<injected@good.example>\r\n")
        assert slow.rest(10).startswith(b"554 5.5.0")


@pytest.mark.parametrize("mode", ["forward"])
def test_postfix_outside(lab, campus, gateway, signed):
    """A sender that only uses TLS when it can does not notice: swaks to Postfix."""
    gate = gateway(campus, inside=[f"{L.CLIENT_INSIDE}/32"], tls_rule=RULE,
                   forward={"mx": {"outside": True}}, **signed.settings,
                   smtp={"sender_domain": {"check": "off"}})
    done = lab.client.run("swaks", "--server", L.GATEWAY, "--local-interface", L.CLIENT_INSIDE,
                          "--from", "anna@plain.example", "--to", "otto@campus.example",
                          "--tls-optional", "--header", "Subject: refused", "--body", "x")
    assert done.returncode == 0, done.stdout  # mx.campus.example is not there: 454, and in the clear
    assert "454" in done.stdout
    assert campus.box.wait("Subject: refused")
    assert gate.record("smtp", lambda r: "mail_from" in r["smtp"])


# ---- postern check ----


def checked(gate):
    done = subprocess.run(gate.command("check", "-c", gate.file), capture_output=True, text=True,
                          check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def local(gateway, signed, client_folder, mode):
    """A gateway with a certificate of its own, for servers inside that take mail for some domains."""
    one = Own(client_folder)
    assert one.make("--name", "gateway.campus.example").returncode == 0

    def start(*domains, **settings):
        own = settings.pop("own", one.settings)
        return gateway((L.FAKE, 25), **{**signed.settings, **settings}, tls=own,
                       smtp={"relay": {"local_domains": list(domains)}})

    return start


def line_of(gate, text):
    lines = gate.file.read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize("domain,by", [
    ("dane.example", "DANE: _25._tcp.mx.dane.example"),
    ("sts.example", "MTA-STS: _mta-sts.sts.example"),
    ("both.example", "DANE: _25._tcp.mx.dane.example"),
    ("alone.example", "DANE: _25._tcp.alone.example")])
def test_check_warns_of_senders_that_verify_T_014_T9(local, domain, by):
    gate = local("plain.example", domain, "." + domain)
    told = checked(gate)
    place = f"{gate.file}:{line_of(gate, 'local_domains')}: warning: smtp.relay.local_domains: "
    assert told.startswith(place), told
    assert by in told and f'servers = {{"{L.FAKE}"}} action = pass' in told, told
    assert len(told.splitlines()) == 1, told


@pytest.mark.parametrize("domain", ["plain.example", "pkix.example", "short.example",
                                    "unsigned.example", ".dane.example"])
def test_check_says_nothing_of_others_T_014(local, domain):
    assert checked(local(domain)) == ""


def test_check_knows_of_rules_T_014(local):
    rule = {"verified": {"protocols": ["smtp"], "towards": "inside", "servers": [L.FAKE],
                         "action": "pass"}}
    assert checked(local("dane.example", tls_rule=rule)) == ""


def test_check_knows_of_certificates_T_014(local, ours):
    """Of one that is for the name that such senders say; of no other."""
    for name, warned in (("mx.dane.example", False), ("mx.plain.example", True)):
        section = {"mx": {**ours.section, "names": [name], "servers": ["192.0.2.1"]}}
        gate = local("dane.example", certificate=section)
        assert ("verifies" in checked(gate)) == warned
        gate.stop()


@pytest.mark.parametrize("mode", ["tproxy"])
def test_check_of_servers_elsewhere_T_014(local):
    """Its address in the DNS is none of ours: perhaps that of a translation."""
    told = checked(local("elsewhere.example"))
    assert "may be shown" in told and "action = pass" in told, told


def test_check_without_dns_T_014(local):
    began = time.monotonic()
    told = checked(local("dane.example", resolvers=[L.SILENT_DNS]))
    assert "the DNS does not say" in told and "timeout" in told, told
    assert time.monotonic() - began < 8


def test_check_asks_nobody_without_a_certificate_of_its_own(local):
    assert checked(local("dane.example", own={}, resolvers=[L.SILENT_DNS])) == ""


@pytest.mark.parametrize("mode", ["forward"])
def test_anchors_that_are_not_there(local):
    gate = local("dane.example")
    gate.configure(dnssec_anchors="/nowhere", smtp={"relay": {"local_domains": ["dane.example"]}},
                   tls=gate.settings["tls"])
    assert "cannot be looked up" in checked(gate)
