"""
Servers outside, seen through: clients are shown leaves that the gateway's own CA has signed, which mirror
the server's certificate, or leaves that nobody trusts where it could not be verified. SECURITY cases
T-001, T-004, T-009, T-013, T-017, T-018, T-022.
"""

import ssl
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

import lab as L
from outside_peers import NAME, Issued, parsed, trusting
from tls_ftp_peers import TlsFtp, TlsFtpClient
from tls_peers import VERSIONS, Certificate, TlsClient, client_context

MODES = ["forward", "tproxy"]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("rsa", [False, True], ids=["ecdsa", "rsa"])
def test_imaps_T_017(lab, world, authorities, outside, intercepting, connect, rsa, version):
    """End to end: the client trusts our CA, and sees the server's subject, names, kind of key and end."""
    real = Issued(lab, issuer=world, rsa=rsa, subject="/C=DE/L=Town/O=Outside Ltd", ends=3,
                  alternatives=f"DNS:{NAME},DNS:*.outside.example,IP:192.0.2.9,IP:2001:db8::9")
    server = outside("imap", real, version=version)
    gate = intercepting(server)
    context = trusting(authorities.trusted)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, "TLSv1_" + version[-1])
    with connect(gate, context) as client:
        client.login()
        leaf, der = client.sock.getpeercert(), client.sock.getpeercert(True)
        client.did("SELECT INBOX")
        client.logout()
    assert server.names == [NAME]
    assert der != real.fingerprint
    facts, theirs = parsed(der), parsed(real.fingerprint)
    assert facts["subject"] == theirs["subject"] == f"CN={NAME},O=Outside Ltd,L=Town,C=DE"
    assert sorted(facts["names"]) == sorted(theirs["names"]) and len(facts["names"]) == 4
    assert facts["notAfter"] == theirs["notAfter"]
    assert "Postern interception CA" in facts["issuer"]
    assert leaf["serialNumber"] != theirs["serial"] and len(leaf["serialNumber"]) == 32
    record = gate.record("tls")["tls"]
    assert record["verified"] and record["subject"].endswith(f"CN={NAME}") and "failure" not in record


def plain(gate, connect):
    """A client of POP3 or IMAP that has read the greeting, or of SMTP that has said EHLO."""
    client = connect(gate, None)
    if gate.protocol == "smtp":
        super(TlsClient, client).hello()
    elif gate.protocol == "imap":
        client.greeting()
    else:
        client.reply()
    return client


UPGRADES = {"smtp": ("STARTTLS", "NOOP"), "pop3": ("STLS", "CAPA"), "imap": ("STARTTLS", "NOOP")}


def upgraded(gate, connect, context, name=NAME):
    client = plain(gate, connect)
    said = client.cmd(UPGRADES[gate.protocol][0])
    assert said.code == 220 if gate.protocol == "smtp" else said.ok, said
    client.wrap(context, name)
    return client


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("protocol", UPGRADES)
def test_the_upgrade_N_016(good, authorities, outside, intercepting, connect, protocol, version):
    """The client's name is carried over, also behind STARTTLS of SMTP."""
    port = {"smtp": 587, "pop3": 110, "imap": 143}[protocol]
    server = outside(protocol, good, implicit=False, version=version, port=port)
    gate = intercepting(server, implicit=False)
    context = trusting(authorities.trusted)
    with upgraded(gate, connect, context) as client:
        assert client.sock.getpeercert()["subject"][-1] == (("commonName", NAME),)
        if protocol == "smtp":
            assert "STARTTLS" not in client.cmd("EHLO client.good.example").text
        elif protocol == "imap":
            client.did("LOGIN u p")
        else:
            assert client.cmd("USER u").ok and client.cmd("PASS p").ok
    assert server.names == [NAME]
    assert gate.record("tls")["tls"]["shown"] == "minted"


def test_a_client_that_says_no_name_finds_out_itself_T_009(good, authorities, outside, intercepting, connect):
    """It gets what the server shows to whoever says none, and looks at the names that are in it."""
    server = outside("imap", good)
    gate = intercepting(server)
    context = trusting(authorities.trusted)
    context.check_hostname = False
    with connect(gate, context, name=None) as client:
        client.login()
        assert ("DNS", NAME) in client.sock.getpeercert()["subjectAltName"]
    assert server.names == [None]


# ---- T-001: servers that cannot be verified ----

BAD = {
    "self_signed": {"issuer": None},
    "unknown_CA": {"issuer": "other"},
    "expired": {"begins": -30, "ends": -2},
    "not_yet_valid": {"begins": 2, "ends": 30},
    "wrong_name": {"name": "other.outside.example"},
    "name_in_CN_only": {"alternatives": ""},
    "wildcard_for_all": {"alternatives": "DNS:*.*,DNS:*"},
    "our_own_CA": {"issuer": "ours"},
}


@pytest.fixture(params=BAD)
def bad(request, lab, world, authorities):
    how = dict(BAD[request.param])
    issuers = {"other": lambda: Certificate(lab, "ca.other.example"), "ours": lambda: OursAsIssuer(authorities)}
    if "issuer" not in how:
        how["issuer"] = world
    elif how["issuer"]:
        how["issuer"] = issuers[how["issuer"]]()
    return Issued(lab, **how)


class OursAsIssuer:
    """As if its key had been stolen (T-004)."""

    def __init__(self, authorities):
        self.chain, self.key = authorities.trusted, authorities.keys[0]


def test_refused_T_001_T_004(authorities, outside, intercepting, connect, bad, tmp_path, world):
    """The default. That our own CA is among the system's trust anchors makes no difference."""
    both = tmp_path / "anchors.pem"
    both.write_text(world.chain.read_text() + authorities.trusted.read_text())
    gate = intercepting(outside("imap", bad), tls={"trust": str(both)})
    with pytest.raises(ssl.SSLError, match="handshake failure"):
        connect(gate, client_context())
    assert gate.flow()["flow"]["reason"] == "tls_verify"
    record = gate.record("tls")["tls"]
    assert not record["verified"] and record["verify_error"] and "shown" not in record


@pytest.mark.parametrize("how", ["verify = untrusted", "a rule", "verify = report", "verify = off"])
def test_shown_as_what_it_is_T_001(authorities, outside, intercepting, connect, bad, how):
    """Who believes our CA does not believe this; who looks closer sees why."""
    settings = {"tls": {"verify": how.split()[-1]}}
    if how == "a rule":
        settings = {"tls_rule": {"lax": {"towards": "outside", "verify": "untrusted"}}}
    gate = intercepting(outside("imap", bad), **settings)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(gate, trusting(authorities.trusted))
    with connect(gate, client_context()) as client:
        client.login()
        facts, theirs = parsed(client.sock.getpeercert(True)), parsed(bad.fingerprint)
    assert "UNTRUSTED" in facts["issuer"]
    assert sorted(facts["names"]) == sorted(n for n in theirs["names"] if "*" not in n)
    assert facts["subject"] == theirs["subject"]
    assert facts["notAfter"] <= theirs["notAfter"] and facts["notBefore"] >= theirs["notBefore"]
    record = gate.record("tls", lambda r: r["tls"].get("shown"))["tls"]
    assert record["shown"] == "minted_untrusted" and not record["verified"]


@pytest.mark.parametrize("bad", ["expired", "wrong_name", "not_yet_valid"], indirect=True)
def test_even_who_trusts_both_sees_dates_and_names_T_001(authorities, outside, intercepting, connect, bad):
    gate = intercepting(outside("imap", bad), tls={"verify": "untrusted"})
    with pytest.raises(ssl.SSLCertVerificationError, match="expired|Hostname mismatch|not yet valid"):
        connect(gate, trusting(authorities.untrusted))


def test_what_cannot_be_mirrored_is_not_shown_at_all_T_001(lab, world, outside, intercepting, connect):
    """A certificate that ended before 1970."""
    gate = intercepting(outside("imap", Issued(lab, issuer=world, begins=-30000, ends=-25000)),
                        tls={"verify": "untrusted"})
    with pytest.raises(ssl.SSLError, match="internal error"):
        connect(gate, client_context())
    assert gate.flow()["flow"]["reason"] == "tls_mint"


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("verify", ["report", "untrusted"])
def test_a_server_inside_that_cannot_be_verified_T_001(lab, good, outside, intercepting, connect, verify):
    """What is configured for it, or, where that is wanted, what nobody trusts."""
    kept = Certificate(lab, NAME)
    gate = intercepting(outside("imap", Issued(lab)), certificate={"mx": kept.section},
                        tls={"verify_inside": verify}, forward={"mx": {"implicit_tls": True}})
    with connect(gate, client_context()) as client:
        client.login()
        shown = client.sock.getpeercert(True)
    assert (shown == kept.fingerprint) == (verify == "report")
    assert ("UNTRUSTED" in parsed(shown)["issuer"]) == (verify == "untrusted")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_what_was_trusted_is_not_resumed_when_it_is_not_any_more_T_018(
        lab, world, good, authorities, outside, intercepting, connect, version):
    """Who resumes is shown no certificate: so only what was shown the same sort."""
    server = outside("imap", good)
    gate = intercepting(server, tls={"verify": "untrusted"})
    context = client_context(version)
    with connect(gate, context) as client:
        client.login()
        client.did("NOOP")
        session = client.sock.session
    with connect(gate, None) as client:
        client.session = session
        client.wrap(context, NAME)
        assert client.sock.session_reused
        client.login()
    server.script.context.load_cert_chain(*(lambda c: (c.chain, c.key))(Issued(lab)))
    with connect(gate, None) as client:
        client.session = session
        client.wrap(context, NAME)
        assert not client.sock.session_reused
        assert "UNTRUSTED" in parsed(client.sock.getpeercert(True))["issuer"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("verify", ["enforce", "untrusted"])
def test_another_certificate_of_the_same_name_is_seen_T_018(
        lab, world, good, outside, intercepting, connect, verify, version):
    """Judged alike, and for the same name: a client that resumed would not see that it is another."""
    issuer = world if verify == "enforce" else None
    server = outside("imap", Issued(lab, issuer=issuer))
    gate = intercepting(server, tls={"verify": verify})
    context = client_context(version)
    with connect(gate, context) as client:
        client.login()
        client.did("NOOP")
        session = client.sock.session
    for certificate, resumed in ((None, True), (Issued(lab, issuer=issuer), False)):
        if certificate:
            server.script.context.load_cert_chain(certificate.chain, certificate.key)
        with connect(gate, None) as client:
            client.session = session
            client.wrap(context, NAME)
            assert client.sock.session_reused == resumed
            client.login()


class Subordinate:
    """A site's own CA, which its root has signed; with what goes with it."""

    def __init__(self, lab, root, authorities):
        self.own = Certificate(lab, "sub.campus.example")
        folder = self.own.key.parent
        extensions = folder / "extensions"
        extensions.write_text("basicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\n")
        request = subprocess.run(["openssl", "req", "-new", "-key", self.own.key, "-subj", "/CN=Campus Sub CA"],
                                 check=True, capture_output=True).stdout
        self.chain, self.key = folder / "sub.pem", self.own.key
        made = subprocess.run(["openssl", "x509", "-req", "-CA", root.chain, "-CAkey", root.key, "-days", "20",
                               "-set_serial", "77", "-extfile", extensions], input=request, check=True,
                              capture_output=True).stdout
        self.chain.write_bytes(made)
        self.settings = {**authorities.settings, "ca": str(self.chain), "ca_key": str(self.key)}


def test_a_site_s_own_CA_T_004(lab, world, authorities, outside, intercepting, connect):
    """
    It goes along with each leaf, so that who trusts the site's root believes it. A server outside that has
    a certificate of it is refused, though its chain leads to an anchor.
    """
    root = Certificate(lab, "root.campus.example")
    sub = Subordinate(lab, root, authorities)
    anchors = lab.dir / "both-roots.pem"
    anchors.write_text(world.chain.read_text() + root.chain.read_text())
    server = outside("imap", Issued(lab, issuer=world))
    gate = intercepting(server, tls={**sub.settings, "trust": str(anchors)})
    with connect(gate, trusting(root.chain)) as client:
        client.login()
    stolen = Issued(lab, issuer=sub)
    whole = stolen.key.parent / "whole.pem"
    whole.write_text(stolen.chain.read_text() + sub.chain.read_text())
    subprocess.run(["openssl", "verify", "-CAfile", root.chain, "-untrusted", sub.chain, stolen.chain],
                   check=True, capture_output=True)  # it would be good, were it not ours
    server.script.context.load_cert_chain(whole, stolen.key)
    with pytest.raises(ssl.SSLError, match="handshake failure"):
        connect(gate, client_context())
    assert gate.record("tls", lambda r: "verify_error" in r["tls"])["tls"]["failure"] == "tls_verify"


# ---- T-017: leaves ----


def test_leaves_are_short_and_say_nothing_of_lists_T_017(good, authorities, outside, intercepting, connect):
    gate = intercepting(outside("imap", good))
    serials = set()
    for _ in range(2):
        with connect(gate, trusting(authorities.trusted)) as client:
            client.login()
            der = client.sock.getpeercert(True)
        facts = parsed(der)
        serials.add(facts["serial"])
    now = datetime.now(timezone.utc)
    assert timedelta(days=6, hours=23) < facts["notAfter"] - facts["notBefore"] <= timedelta(days=7)
    assert timedelta(hours=23, minutes=50) < now - facts["notBefore"] < timedelta(hours=24, minutes=10)
    assert len(serials) == 1  # it is kept
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], capture_output=True, text=True, check=True,
                          input=ssl.DER_cert_to_PEM_cert(der)).stdout
    assert "CA:FALSE" in text and "TLS Web Server Authentication" in text
    assert "CRL" not in text and "OCSP" not in text


def test_many_names_T_017(lab, world, authorities, outside, intercepting, connect):
    """More than there is room for: that which a client asks for is there, whoever came before."""
    names = [f"host-{i:04}-of-many.a-long-name-of-somebody.outside.example" for i in range(400)]
    real = Issued(lab, issuer=world, alternatives=",".join(f"DNS:{name}" for name in (*names, NAME)))
    gate = intercepting(outside("imap", real))
    for name in (NAME, names[399], names[0], NAME):
        with connect(gate, trusting(authorities.trusted), name) as client:
            client.login()
            assert 100 < len(client.sock.getpeercert()["subjectAltName"]) <= 250


# ---- T-013: clients that do not trust us ----


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_that_does_not_trust_us_T_013(good, authorities, outside, intercepting, connect, world, version):
    """Each time it is recorded; from the third time on with the rule that would help. Nothing gives way."""
    gate = intercepting(outside("imap", good))
    context = trusting(world.chain)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, "TLSv1_" + version[-1])
    for times in range(1, 5):
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(gate, context)
        record = gate.record("tls", lambda r: r["tls"].get("distrusted") == times)
        assert record["src_ip"] and record["dest_ip"]
        tls = record["tls"]
        assert tls["failure"] == "tls_alert" and tls["client_alert"] == 48 and tls["sni"] == NAME
        assert ("rule_to_pass" in tls) == (times >= 3)
    assert record["src_ip"] in tls["rule_to_pass"] and 'action = pass' in tls["rule_to_pass"]


@pytest.mark.parametrize("mode", ["tproxy"])
def test_the_suggested_rule_is_one_T_013(good, outside, intercepting, connect, world):
    gate = intercepting(outside("imap", good))
    for _ in range(3):
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(gate, trusting(world.chain))
    rule = gate.record("tls", lambda r: "rule_to_pass" in r["tls"])["tls"]["rule_to_pass"]
    gate.file.write_text(gate.file.read_text() + rule.replace("{ ", "{\n").replace("} ", "}\n") + "\n")
    gate.reload()
    with connect(gate, trusting(world.chain)) as client:
        assert client.sock.getpeercert(True) == good.fingerprint
        client.login()


# ---- who is looked into ----


@pytest.mark.parametrize("mode", ["tproxy"])
def test_mail_between_servers_passes_T_022(good, outside, intercepting, connect):
    """Port 25 outwards, unless a rule says otherwise; other ports of SMTP are looked into."""
    server = outside("smtp", good, implicit=False, port=25)
    gate = intercepting(server, implicit=False, smtp={"starttls": "auto"})
    with upgraded(gate, connect, client_context()) as client:
        assert client.sock.getpeercert(True) == good.fingerprint
    # what the DNS cannot tell of is let by, too, unless that is not wanted
    gate.configure(smtp={"starttls": "auto"}, tls={**gate.settings["tls"], "published": "ignore"},
                   tls_rule={"all": {"towards": "outside", "action": "intercept"}})
    gate.reload()
    with upgraded(gate, connect, client_context()) as client:
        assert "Postern interception CA" in parsed(client.sock.getpeercert(True))["issuer"]


def test_a_configured_certificate_is_for_servers_inside_alone_T_009(
        lab, authorities, good, outside, intercepting, connect):
    """Also where a server outside is asked for its name."""
    kept = Certificate(lab, NAME)
    gate = intercepting(outside("imap", good), certificate={"mx": kept.section})
    with connect(gate, trusting(authorities.trusted)) as client:
        assert client.sock.getpeercert(True) not in (kept.fingerprint, good.fingerprint)


# ---- FTP, whose data connections show the same ----


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("way", ["PORT", "EPSV"])
def test_FTP_with_its_data_connections_F_027_F_030(lab, world, authorities, gateway, way, version):
    name = "mx.campus.example"  # as its scripted client says
    server = TlsFtp(lab.server, L.FAKE, Issued(lab, name, issuer=world), version=version, files={"a": b"hello"})
    gate = gateway(server, ftp={"starttls": "intercept"}, forward={"mx": {"outside": True}},
                   tls={**authorities.settings, "trust": str(world.chain)})
    client = gate.client(cls=TlsFtpClient)
    client.context, client.way = trusting(authorities.trusted), way
    client.context.check_hostname = False  # it says no name on data connections
    with client.login().binary():
        assert client.get("RETR a") == b"hello"
        assert client.put("STOR b", b"up").code == 226
    server.close()
    assert not server.errors and server.whole == {"b"} and server.resumed == [True, True]
    assert gate.record("tls")["tls"]["shown"] == "minted"
