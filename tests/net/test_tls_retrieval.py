"""
POP3 STLS and IMAP STARTTLS that end at the gateway: SECURITY cases N-002, N-003, N-005 to N-009, N-012,
N-013, N-016 to N-018, T-001, T-021; FIELD rows T1, O4, I6.
"""

import imaplib
import poplib
import ssl
import time

import pytest

import lab as L
import mails
from peers import Closed
from retrieval_peers import FakeImap, FakePop3
from tls_peers import TlsImap, TlsPop3, client_context, starttls_reply

MODES = ["forward", "tproxy"]
MESSAGES = [b"Subject: one\r\n\r\n.dots\r\n..\r\n", b"Subject: two\r\n\r\n" + b"x" * 70 + b"\r\n" * 40_000]


class Pop3:
    name, client, fake, upgrade, ready = "pop3", TlsPop3, FakePop3, "STLS", b"+OK go\r\n"
    login, login_verb = "USER anna", "USER"

    @staticmethod
    def greeting(client):
        return client.reply()

    @staticmethod
    def open(client):
        assert client.cmd("USER anna").ok and client.cmd("PASS secret").ok

    @staticmethod
    def fetch(client):
        return [client.retr(i) for i in (1, 2)]

    @staticmethod
    def offers(client):
        return b"STLS" in client.lines("CAPA")


class Imap:
    name, client, fake, upgrade, ready = "imap", TlsImap, FakeImap, "STARTTLS", b"<tag> OK go\r\n"
    login, login_verb = "LOGIN anna secret", "LOGIN"

    @staticmethod
    def greeting(client):
        return client.greeting()

    @staticmethod
    def open(client):
        client.did("LOGIN anna secret")
        client.select()

    @staticmethod
    def fetch(client):
        return client.fetch("1:2", "BODY.PEEK[]")

    @staticmethod
    def offers(client):
        return b"STARTTLS" in client.did("CAPABILITY")


def messages(kind, client):
    kind.open(client)
    return kind.fetch(client)


both = pytest.mark.parametrize("kind", [Pop3, Imap])


@pytest.fixture
def server(lab, theirs):
    """server(kind, **options): a scripted one that has TLS."""
    made = []

    def make(kind, version=None, replies=None, **options):
        if kind is Imap:
            options.setdefault("capabilities", FakeImap.CAPABILITIES + " STARTTLS")
        start = starttls_reply(theirs.server_context(version), kind.ready)
        made.append(kind.fake(lab.server, L.FAKE, messages=MESSAGES,
                              replies={kind.upgrade: start, **(replies or {})}, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert not one.errors, one.errors


@pytest.fixture
def tls_gateway(gateway, ours):
    def start(kind, to, starttls="intercept", **settings):
        own = {"starttls": starttls}
        return gateway(to, protocol=kind.name, certificate={"mx": ours.section}, **{kind.name: own},
                       **settings)

    return start


def connect(kind, gate, upgrade=True, **options):
    client = gate.client(cls=kind.client, **options)
    kind.greeting(client)
    if upgrade:
        assert client.cmd(kind.upgrade).ok
        client.wrap()
    return client


@both
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_messages_T1_O4_I6(server, tls_gateway, ours, kind, version):
    gate = tls_gateway(kind, server(kind, version))
    with connect(kind, gate, False) as client:
        assert kind.offers(client)
        assert client.cmd(kind.upgrade).ok
        client.wrap(client_context(version, ours))
        assert client.sock.version() == f"TLSv{version}"
        assert not kind.offers(client)
        assert messages(kind, client) == MESSAGES
        assert client.cmd("LOGOUT" if kind is Imap else "QUIT").ok
        assert client.closed() and client.heard_end  # T-021
    record = gate.record(kind.name, lambda r: "session" in r[kind.name])
    assert record[kind.name]["session"]["user"] == "anna"


@both
def test_octets_of_the_client_ahead_N_002_N_003(server, tls_gateway, kind):
    there = server(kind)
    gate = tls_gateway(kind, there)
    with connect(kind, gate, False) as client:
        tag = b"a1 " if kind is Imap else b""
        client.send(tag + kind.upgrade.encode() + b"\r\n" + tag.replace(b"1", b"2") + b"NOOP\r\n")
        said = client.rest(5)
        assert b"a1 OK" not in said and b"a2" not in said and b"+OK" not in said, said
    assert b"NOOP" not in there.ended().received
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "failed_protocol_change")


@both
def test_octets_of_the_client_before_the_handshake_N_005(server, tls_gateway, kind):
    there = server(kind)
    gate = tls_gateway(kind, there)
    with connect(kind, gate, False) as client:
        assert client.cmd(kind.upgrade).ok
        client.send(b"a2 NOOP\r\n")
        assert b"OK" not in client.rest(10)
    assert b"NOOP" not in there.ended().received
    assert gate.flow()["flow"]["reason"] in ("tls_plain", "tls_handshake")


INJECTED = {Pop3: [b"+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n", b"-ERR x\r\n"],
            Imap: [b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n2 OK done\r\n",
                   b"* OK [ALERT] click here\r\n", b"* BYE\r\n"]}


@pytest.mark.parametrize("late", [False, True], ids=["at-once", "late"])
@pytest.mark.parametrize("kind,injected", [(k, octets) for k, all in INJECTED.items() for octets in all])
def test_octets_of_the_server_ahead_N_007_N_008_N_009(server, tls_gateway, kind, injected, late):
    def start(conversation, line):
        ready = kind.ready.replace(b"<tag>", line.split(b" ", 1)[0])
        conversation.send(ready + (b"" if late else injected))
        time.sleep(0.2)
        if late:
            conversation.send(injected)
        return b""

    gate = tls_gateway(kind, server(kind, replies={kind.upgrade: start}))
    with connect(kind, gate, False) as client:
        try:
            said = client.cmd(kind.upgrade)
        except Closed as end:
            assert injected not in end.octets
            return
        if not said.ok:
            assert injected not in client.rest(5)
            return
        assert late
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.wrap()
    assert gate.flow()["flow"]["reason"] == "tls_plain"


@both
def test_a_server_that_nobody_vouches_for_N_016_T_001(server, tls_gateway, kind):
    gate = tls_gateway(kind, server(kind), tls={"verify_inside": "enforce"})
    with connect(kind, gate, False) as client:
        assert client.cmd(kind.upgrade).ok
        with pytest.raises(ssl.SSLError, match="handshake failure"):
            client.wrap()
    assert gate.flow()["flow"]["reason"] == "tls_verify"


@both
def test_a_server_that_refuses_N_013(server, tls_gateway, kind):
    no = b"<tag> NO not now\r\n" if kind is Imap else b"-ERR not now\r\n"
    gate = tls_gateway(kind, server(kind, replies={kind.upgrade: no}))
    with connect(kind, gate, False) as client:
        assert not client.cmd(kind.upgrade).ok
        assert messages(kind, client) == MESSAGES


@both
def test_once_is_enough_N_018(server, tls_gateway, kind):
    there = server(kind)
    gate = tls_gateway(kind, there)
    with connect(kind, gate) as client:
        assert not client.cmd(kind.upgrade).ok
        kind.open(client)
    assert there.ended().received.count(kind.upgrade.encode()) == 1


@both
def test_no_login_in_the_clear_where_TLS_is_required(server, tls_gateway, kind):
    there = server(kind)
    gate = tls_gateway(kind, there, "require")
    with connect(kind, gate, False) as client:
        assert not client.cmd(kind.login).ok
        assert client.cmd(kind.upgrade).ok
        client.wrap()
        assert client.cmd(kind.login).ok
    assert there.ended().received.count(kind.login_verb.encode()) == 1


def test_a_greeting_that_is_past_TLS_N_012(server, tls_gateway):
    gate = tls_gateway(Imap, server(Imap, replies={"GREETING": b"* PREAUTH welcome\r\n"}), "require")
    with gate.client(cls=TlsImap) as client:
        said = client.rest(5)
        assert b"* BYE" in said and b"PREAUTH" not in said
    assert gate.flow()["flow"]["reason"] == "preauth_in_clear"


def test_who_was_named_in_the_clear_is_forgotten_N_017(server, tls_gateway):
    gate = tls_gateway(Pop3, server(Pop3))
    with connect(Pop3, gate, False) as client:
        assert client.cmd("USER mallory").ok
        assert client.cmd("STLS").ok
        client.wrap()
        client.quit()
    assert "mallory" not in str(gate.record("pop3", lambda r: "session" in r["pop3"])["pop3"]["session"])


@both
def test_an_answer_that_is_cut_T_021(server, tls_gateway, kind):
    """The server is gone in the middle of a message, and the client is not told that this was all."""
    half = b"+OK\r\nhalf" if kind is Pop3 else b"* 1 FETCH (BODY[] {1000}\r\nhalf"

    def start(conversation, line):
        conversation.send(half)
        time.sleep(0.2)
        conversation.close()
        return b""

    gate = tls_gateway(kind, server(kind, replies={"RETR" if kind is Pop3 else "FETCH": start}))
    with connect(kind, gate) as client:
        kind.open(client)
        client.send(b"RETR 1\r\n" if kind is Pop3 else b"a9 FETCH 1 BODY[]\r\n")
        assert client.rest(5).endswith(b"half")
        assert not client.heard_end


@pytest.mark.parametrize("mode", ["forward"])
def test_python_clients(lab, server, tls_gateway, ours):
    context = client_context(trusted=ours)
    context.check_hostname = False  # they know the address alone
    tls_gateway(Pop3, server(Pop3))
    pop3 = lab.client.call(lambda: poplib.POP3(L.GATEWAY, 110, timeout=20))
    pop3.stls(context)
    pop3.user("anna"), pop3.pass_("secret")
    assert b"\r\n".join(pop3.retr(1)[1]) + b"\r\n" == MESSAGES[0]
    pop3.quit()
    tls_gateway(Imap, server(Imap))
    imap = lab.client.call(lambda: imaplib.IMAP4(L.GATEWAY, 143, timeout=20))
    imap.starttls(context)
    imap.login("anna", "secret"), imap.select()
    assert imap.fetch("2", "(BODY.PEEK[])")[1][0][1] == MESSAGES[1]
    imap.logout()


# ---- a real server ----

@pytest.fixture
def filled(tls_dovecot):
    return tls_dovecot.account(mails.WILD)


@both
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_dovecot_every_message_as_it_is(tls_dovecot, filled, tls_gateway, ours, kind, version):
    held = filled.messages()
    gate = tls_gateway(kind, tls_dovecot)
    with connect(kind, gate, False) as client:
        assert client.cmd(kind.upgrade).ok
        client.wrap(client_context(version, ours))
        if kind is Imap:
            client.did(f"LOGIN {filled.user} {filled.password}")
            got = client.select().fetch("1:*", "BODY.PEEK[]")
        else:
            assert client.cmd(f"USER {filled.user}").ok and client.cmd(f"PASS {filled.password}").ok
            got = [client.retr(i) for i in range(1, len(held) + 1)]
            # POP3 has no message without a line end
            held = [m if m.endswith(b"\r\n") else m + b"\r\n" for m in held]
    assert got == held


@both
def test_curl_and_dovecot_by_TLS_from_the_first_octet_on_O5(lab, tls_dovecot, filled, gateway, mode, ours,
                                                            kind, client_folder):
    port = {"imap": 993, "pop3": 995}[kind.name]
    own = {"starttls": "intercept"}
    if mode == "tproxy":
        gateway(tls_dovecot, protocol=kind.name, certificate={"mx": ours.section},
                **{kind.name: {**own, "tls_ports": [port]}})
        address = tls_dovecot.address
    else:
        gateway((tls_dovecot.address, port), protocol=kind.name, certificate={"mx": ours.section},
                forward={"mx": {"implicit_tls": True, "listen": f"{L.GATEWAY}:{port}"}},
                **{kind.name: own})
        address = L.GATEWAY
    held = filled.messages()
    path = f"INBOX;MAILINDEX={len(held)}" if kind is Imap else str(len(held))
    done = lab.client.run(
        "curl", "-sS", "--noproxy", "*", "--cacert", ours.chain, "--connect-to",
        f"{ours.name}:{port}:{address}:{port}", "-u", f"{filled.user}:{filled.password}",
        "-o", client_folder / "got", f"{kind.name}s://{ours.name}/{path}")
    assert done.returncode == 0, done.stderr
    got = (client_folder / "got").read_bytes()
    assert got in (held[-1], held[-1] + b"\r\n") and len(got) > 100
