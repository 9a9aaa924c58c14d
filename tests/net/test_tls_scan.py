"""
testssl.sh against the client's leg, by every way in: no weak version, no weak cipher, none of the known
holes. SECURITY cases T-007, T-019, T-020; FIELD row T10.
"""

import json

import pytest

import lab as L
from peers import EHLO
from retrieval_peers import FakeImap, FakePop3
from test_tls_implicit import GREETINGS, PORTS
from tls_peers import TlsConversation, starttls_reply

# What is looked at by every way in: versions, kinds of ciphers, forward secrecy; and all holes that it
# knows by one of each kind: it is the same code behind them, and takes its time.
LOOKED_AT, HOLES = ["-p", "-s", "-f"], ["-U"]
WEIGHT = {"LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN"}
OF_THE_SCANNER = {"engine_problem"}  # it has no GOST
# Without these the scan has seen nothing, whatever it did not find.
HAVE = {"TLS1_2": "offered", "TLS1_3": "offered with final", "PFS": "offered",
        "cipherlist_STRONG": "offered"}
HAVE_NOT = ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT",
            "cipherlist_LOW", "cipherlist_3DES_IDEA", "cipherlist_AVERAGE"]
SAFE_FROM = ["heartbleed", "CCS", "ROBOT", "secure_client_renego", "CRIME_TLS", "POODLE_SSL", "SWEET32",
             "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4"]
# A scanner comes often, and most of its handshakes fail.
LIMITS = {"sessions_per_client": 1000, "tls_handshakes_per_minute": 0, "refusals": 0}


def scan(lab, folder, port, *options):
    """What testssl.sh finds: {id: (severity, finding)}."""
    file = folder / "found.json"
    done = lab.client.run("testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
                          *LOOKED_AT, *options, "--jsonfile", file, f"{L.GATEWAY}:{port}", timeout=600)
    assert file.exists(), done.stdout + done.stderr
    return {row["id"]: (row["severity"], row["finding"]) for row in json.loads(file.read_text())}


def expect_nothing(found, holes=False):
    weak = {name: row for name, row in found.items() if row[0] in WEIGHT and name not in OF_THE_SCANNER}
    assert not weak, weak
    said = {name: finding for name, (_, finding) in found.items()}
    for name, wanted in HAVE.items():
        assert said[name].startswith(wanted), (name, said[name])
    for name in HAVE_NOT:
        assert said[name] == "not offered", (name, said[name])
    for name in SAFE_FROM if holes else ():
        assert said[name].startswith("not vulnerable"), (name, said[name])
    if holes:
        assert said["secure_renego"] == "supported"


@pytest.fixture
def settings(ours):
    return {"certificate": {"mx": ours.section}, "limits": LIMITS, "tls": {"verify_inside": "off"}}


def test_SMTP_STARTTLS_T_007_T10(lab, fake, gateway, theirs, settings, client_folder):
    server = fake(ehlo=(*EHLO, "STARTTLS"), replies={"STARTTLS": starttls_reply(theirs.server_context())})
    gateway(server, smtp={"starttls": "intercept"}, **settings)
    expect_nothing(scan(lab, client_folder, 25, *HOLES, "-t", "smtp"), holes=True)


@pytest.mark.parametrize("kind,protocol,port,upgrade,ready", [
    (FakePop3, "pop3", 110, "STLS", b"+OK go\r\n"),
    (FakeImap, "imap", 143, "STARTTLS", b"<tag> OK go\r\n")], ids=["pop3", "imap"])
def test_POP3_and_IMAP_T_007_T10(lab, gateway, theirs, settings, client_folder, kind, protocol, port,
                                 upgrade, ready):
    options = {} if kind is FakePop3 else {"capabilities": FakeImap.CAPABILITIES + " STARTTLS"}
    with kind(lab.server, L.FAKE, replies={upgrade: starttls_reply(theirs.server_context(), ready)},
              **options) as server:
        gateway(server, protocol=protocol, **{protocol: {"starttls": "intercept"}}, **settings)
        expect_nothing(scan(lab, client_folder, port, "-t", protocol))


def test_FTP_AUTH_T_007_T10(lab, fake, gateway, theirs, settings, client_folder):
    context = theirs.server_context()
    replies = {b"FEAT": b"211-Features\r\n AUTH TLS\r\n211 End\r\n", b"AUTH": b"234 go\r\n"}

    def script(conversation):
        conversation.send(GREETINGS["ftp"])
        while True:
            verb = conversation.line().split()[0].upper()
            conversation.send(replies.get(verb, b"500 what?\r\n"))
            if verb == b"AUTH":
                conversation.__class__ = TlsConversation
                conversation.wrap_with(context, server_side=True)

    gateway(fake(script=script), protocol="ftp", ftp={"starttls": "intercept"}, **settings)
    expect_nothing(scan(lab, client_folder, 21, "-t", "ftp"))


@pytest.mark.parametrize("protocol", PORTS)
def test_TLS_from_the_first_octet_on_T_007_T10(lab, fake, gateway, theirs, settings, client_folder,
                                               protocol):
    context = theirs.server_context()

    def script(conversation):
        conversation.__class__ = TlsConversation
        conversation.wrap_with(context, server_side=True)
        conversation.send(GREETINGS[protocol])
        conversation.rest()

    port = PORTS[protocol]
    gateway(fake(script=script), protocol=protocol, **{protocol: {"starttls": "intercept"}}, **settings,
            forward={"mx": {"implicit_tls": True, "listen": f"{L.GATEWAY}:{port}"}})
    holes = HOLES if protocol == "imap" else []
    expect_nothing(scan(lab, client_folder, port, *holes), bool(holes))
