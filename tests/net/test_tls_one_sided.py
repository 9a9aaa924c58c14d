"""
One leg under TLS alone, where a rule says so: SECURITY case N-022; the gateway asks a server for TLS itself.
"""

import pytest

import lab as L
from peers import EHLO, Closed, FakeServer, RawClient
from retrieval_peers import FakeImap, FakePop3, ImapClient, Pop3Client
from test_tls_implicit import Server
from tls_peers import TlsClient, TlsImap, TlsPop3, starttls_reply


class Smtp:
    name, client, tls_client, verb, no = "smtp", RawClient, TlsClient, "STARTTLS", b"454 4.7.0 no\r\n"

    @staticmethod
    def server(lab, replies, starttls=True, **options):
        ehlo = (*EHLO, "STARTTLS") if starttls else EHLO
        return FakeServer(lab.server, L.FAKE, ehlo=ehlo, replies=replies, **options)

    @staticmethod
    def begin(context, before=b"220 go\r\n"):
        return starttls_reply(context, before)

    @staticmethod
    def use(client):
        text = RawClient.hello(client).text
        assert "STARTTLS" not in text and "PIPELINING" in text
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        assert client.cmd("QUIT").code == 221

    farewell = b"421 "


class Pop3:
    name, client, tls_client, verb, no = "pop3", Pop3Client, TlsPop3, "STLS", b"-ERR no\r\n"

    @staticmethod
    def server(lab, replies, starttls=True, **options):
        return FakePop3(lab.server, L.FAKE, messages=[b"Subject: x\r\n\r\nx\r\n"], replies=replies, **options)

    @staticmethod
    def begin(context, before=b"+OK go\r\n"):
        return starttls_reply(context, before)

    @staticmethod
    def use(client):
        greeting = client.reply()
        assert greeting.ok and "<1896" in greeting.text  # APOP needs it as it is
        assert b"STLS" not in client.lines("CAPA")
        assert client.cmd("USER anna").ok and client.cmd("PASS secret").ok
        assert client.retr(1) == b"Subject: x\r\n\r\nx\r\n"
        assert client.cmd("QUIT").ok

    farewell = b"-ERR"


class Imap:
    name, client, tls_client, verb = "imap", ImapClient, TlsImap, "STARTTLS"
    no = b"<tag> NO no\r\n"

    @staticmethod
    def server(lab, replies, starttls=True, **options):
        offered = FakeImap.CAPABILITIES + (" STARTTLS LOGINDISABLED" if starttls else "")
        greeting = {"GREETING": f"* OK [CAPABILITY {offered}] fake\r\n".encode()}
        return FakeImap(lab.server, L.FAKE, messages=[b"Subject: x\r\n\r\nx\r\n"],
                        replies={**greeting, **replies}, **options)

    @staticmethod
    def begin(context, before=b"<tag> OK go\r\n"):
        return starttls_reply(context, before)

    @staticmethod
    def use(client):
        greeting = client.greeting()
        assert b"STARTTLS" not in greeting and b"LOGINDISABLED" not in greeting, greeting
        assert b"STARTTLS" not in client.did("CAPABILITY")
        client.did("LOGIN anna secret")
        client.select()
        assert client.fetch("1", "BODY.PEEK[]") == [b"Subject: x\r\n\r\nx\r\n"]
        assert client.cmd("LOGOUT").ok

    farewell = b"* BYE"


every = pytest.mark.parametrize("kind", [Smtp, Pop3, Imap], ids=lambda kind: kind.name)


@pytest.fixture
def start(lab, gateway, ours):
    """start(kind, upstream, replies=..., ...): a gateway with that rule, before such a server."""
    made = []

    def make(kind, upstream, replies=None, implicit=False, server=None, rule=None, side="inside", **settings):
        server = server or kind.server(lab, replies or {})
        made.append(server)
        rule = {"servers": [server.address], "upstream": upstream, **(rule or {})}
        gate = gateway(server, protocol=kind.name, certificate={"mx": ours.section},
                       forward={"mx": {"implicit_tls": implicit, "outside": side == "outside"}},
                       **{"tls_rule": {"one": rule}, **settings})
        gate.server = server
        return gate

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


@every
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_plain_client_and_a_server_that_is_asked_N_022(start, theirs, kind, version):
    gate = start(kind, "starttls", {kind.verb: kind.begin(theirs.server_context(version))})
    with gate.client(cls=kind.client) as client:
        kind.use(client)
    conversation = gate.server.ended()
    assert conversation.__class__.__name__ == "TlsConversation"
    record = gate.record("tls")
    assert record["tls"]["one_sided"] == "server" and record["tls"]["rule"] == "one"
    assert record["upstream"]["version"] == f"TLS {version}" and "failure" not in record["tls"]
    assert len(gate.records("tls")) == 1


@every
def test_a_plain_client_and_a_server_in_TLS_from_the_first_octet_on_N_022(lab, start, theirs, kind):
    script = Server(theirs)
    server = kind.server(lab, {}, starttls=False, script=script)
    script.dialogue = server.serve
    gate = start(kind, "tls", server=server)
    with gate.client(cls=kind.client) as client:
        kind.use(client)
    assert gate.record("tls")["tls"]["one_sided"] == "server"


@every
def test_a_client_in_TLS_and_a_plain_server_N_022(lab, start, kind):
    server = kind.server(lab, {}, starttls=False)
    gate = start(kind, "plain", server=server, implicit=True)
    assert "carried on in the clear" in gate.stderr
    with gate.client(cls=kind.tls_client) as client:
        client.wrap()
        kind.use(client)
    record = gate.record("tls")
    assert record["tls"]["one_sided"] == "client" and record["tls"]["version"] == "TLS 1.3"
    assert "version" not in record.get("upstream", {})


@every
def test_without_such_a_rule_nothing_is_made_weaker_N_022(lab, start, kind):
    """The server has no TLS: the client does not get any either."""
    server = kind.server(lab, {}, starttls=False)
    gate = start(kind, "same", server=server, implicit=True)
    with gate.client(cls=kind.tls_client) as client:
        with pytest.raises((OSError, Closed)):
            client.wrap()
    assert "one_sided" not in str(gate.records("tls"))


@every
def test_a_client_in_TLS_and_a_server_that_is_asked_N_022(start, theirs, kind):
    gate = start(kind, "starttls", {kind.verb: kind.begin(theirs.server_context())}, implicit=True)
    with gate.client(cls=kind.tls_client) as client:
        client.wrap()
        kind.use(client)
    assert gate.server.ended().__class__.__name__ == "TlsConversation"
    gate.record("tls", lambda r: r.get("upstream", {}).get("version") == "TLS 1.3")
    assert "one_sided" not in str(gate.records("tls"))


# ---- what goes wrong: the client hears it, and nothing of the dialogue goes in the clear ----


def expect_farewell(kind, gate, reason):
    with gate.client(cls=kind.client) as client:
        client.send(b"a1 NOOP\r\n")  # nothing that it says goes there
        said = client.rest(10)
        assert said.startswith(kind.farewell), said
    assert gate.flow()["flow"]["reason"] == reason
    assert b"NOOP" not in gate.server.octets


@every
def test_a_server_that_says_no_N_013(start, kind):
    expect_farewell(kind, start(kind, "starttls", {kind.verb: kind.no}), "tls_rejected")


def test_a_server_that_does_not_offer_it_N_014(lab, start):
    expect_farewell(Smtp, start(Smtp, "starttls", server=Smtp.server(lab, {}, starttls=False)), "tls_rejected")


@every
def test_octets_ahead_of_the_handshake_N_006(start, theirs, kind):
    ahead = {"smtp": b"220 go\r\n250 AUTH PLAIN\r\n", "pop3": b"+OK go\r\n+OK x\r\n",
             "imap": b"<tag> OK go\r\n* OK x\r\n"}[kind.name]
    gate = start(kind, "starttls", {kind.verb: ahead})
    expect_farewell(kind, gate, "server_ahead_of_tls")


@pytest.mark.parametrize("replies,reason", [
    ({"EHLO": b"550-fake\r\n550 STARTTLS\r\n"}, "tls_rejected"),
    ({"GREETING": b"220 hello\r\n250-fake\r\n250 STARTTLS\r\n"}, "server_ahead_of_tls"),
    ({"EHLO": b"250-fake\r\n250 STARTTLS\r\n220 go\r\n"}, "server_ahead_of_tls"),
], ids=["refused", "behind_the_greeting", "behind_EHLO"])
def test_what_is_no_answer_to_what_was_asked_N_006(start, replies, reason):
    expect_farewell(Smtp, start(Smtp, "starttls", replies), reason)


def test_of_imap_no_list_is_kept_whatever_stands_ahead_of_it_N_017(start, theirs):
    greeting = {"GREETING": b"* OK [X] ] [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] fake\r\n"}
    gate = start(Imap, "starttls", {"STARTTLS": Imap.begin(theirs.server_context()), **greeting})
    with gate.client(cls=ImapClient) as client:
        said = client.greeting()
        assert b"CAPABILITY" not in said and b"LOGINDISABLED" not in said, said


@every
def test_a_certificate_that_nobody_vouches_for_N_016(start, theirs, kind):
    gate = start(kind, "starttls", {kind.verb: kind.begin(theirs.server_context())},
                 rule={"verify": "enforce"})
    expect_farewell(kind, gate, "tls_verify")
    assert gate.record("tls")["tls"]["failure"] == "tls_verify"


@every
def test_the_name_of_the_rule_is_what_it_must_have_T_009(start, theirs, kind):
    gate = start(kind, "starttls", {kind.verb: kind.begin(theirs.server_context())},
                 rule={"verify": "enforce", "upstream_name": theirs.name},
                 tls={"trust": str(theirs.chain)})
    with gate.client(cls=kind.client) as client:
        kind.use(client)
    assert gate.record("tls")["tls"]["verified"] is True


@every
@pytest.mark.parametrize("side", ["inside", "outside"])
def test_without_one_it_must_have_the_address_T_009(start, theirs, kind, side):
    """No client under TLS is there who could find out itself."""
    gate = start(kind, "starttls", {kind.verb: kind.begin(theirs.server_context())},
                 rule={"verify": "enforce"}, tls={"trust": str(theirs.chain)}, side=side)
    expect_farewell(kind, gate, "tls_verify")


def test_a_greeting_that_refuses(start):
    gate = start(Smtp, "starttls", {"GREETING": b"554 no\r\n"})
    expect_farewell(Smtp, gate, "server_refused")


def test_a_greeting_past_TLS_N_012(start):
    gate = start(Imap, "starttls", {"GREETING": b"* PREAUTH in\r\n"})
    expect_farewell(Imap, gate, "server_refused")


def test_a_reply_without_an_end(start):
    gate = start(Smtp, "starttls", {"EHLO": b"250-x\r\n" * 5000})
    expect_farewell(Smtp, gate, "server_protocol")


@pytest.mark.parametrize("greeting", [b"220-one\r\n220-two\r\n220 three\r\n"])
def test_octet_by_octet(start, theirs, greeting):
    def slowly(conversation, line):
        conversation.send(greeting, "octets")
        return b""

    gate = start(Smtp, "starttls", {"GREETING": slowly, "STARTTLS": Smtp.begin(theirs.server_context())})
    with gate.client() as client:
        assert client.reply().octets == greeting
        assert client.cmd("EHLO x.example").code == 250
