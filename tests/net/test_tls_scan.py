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

# What is looked at: versions, kinds of ciphers, forward secrecy, and all the holes that it knows.
LOOKED_AT = ["--protocols", "--std", "--fs", "--vulnerable"]
WEIGHT = {"LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"}
# Without these the scan has seen nothing, whatever it did not find.
HAVE = {"TLS1_2": "offered", "TLS1_3": "offered with final", "FS": "offered",
        "cipherlist_STRONG_FS": "offered"}
HAVE_NOT = {"SSLv2": "not offered", "SSLv3": "not offered", "TLS1": "not offered", "TLS1_1": "not offered",
            "cipherlist_NULL": "not offered", "cipherlist_aNULL": "not offered",
            "cipherlist_EXPORT": "not offered", "cipherlist_LOW": "not offered",
            "cipherlist_3DES_IDEA": "not offered", "heartbleed": "not vulnerable",
            "CCS": "not vulnerable", "ticketbleed": "not vulnerable", "ROBOT": "not vulnerable",
            "secure_renego": "supported", "secure_client_renego": "not vulnerable",
            "CRIME_TLS": "not vulnerable", "SWEET32": "not vulnerable", "FREAK": "not vulnerable",
            "LOGJAM": "not vulnerable", "BEAST": "not vulnerable", "LUCKY13": "not vulnerable",
            "RC4": "not vulnerable"}
# A scanner comes often, and most of its handshakes fail.
LIMITS = {"sessions_per_client": 1000, "tls_handshakes_per_minute": 0, "refusals": 0}


def scan(lab, folder, port, *options):
    """What testssl.sh finds: {id: (severity, finding)}."""
    file = folder / "found.json"
    done = lab.client.run("testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
                          *LOOKED_AT, "--jsonfile", file, *options, f"{L.GATEWAY}:{port}", timeout=600)
    assert file.exists(), done.stdout + done.stderr
    return {row["id"]: (row["severity"], row["finding"]) for row in json.loads(file.read_text())}


def expect_nothing(found):
    weak = {name: row for name, row in found.items() if row[0] in WEIGHT}
    assert not weak, weak
    for name, wanted in {**HAVE, **HAVE_NOT}.items():
        assert name in found, (name, found)
        assert wanted in found[name][1].lower().replace("fs is ", ""), (name, found[name])


@pytest.fixture
def settings(ours):
    return {"certificate": {"mx": ours.section}, "limits": LIMITS, "tls": {"verify_inside": "off"}}


def test_SMTP_STARTTLS_T_007_T10(lab, fake, gateway, theirs, settings, client_folder):
    server = fake(ehlo=(*EHLO, "STARTTLS"), replies={"STARTTLS": starttls_reply(theirs.server_context())})
    gateway(server, smtp={"starttls": "intercept"}, **settings)
    expect_nothing(scan(lab, client_folder, 25, "-t", "smtp"))


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
    expect_nothing(scan(lab, client_folder, port))
