"""
POP3 through the gateway: real servers and scripted ones. SECURITY cases P-001 to P-017; FIELD rows O1
to O3, O6 to O9.
"""

import base64
import hashlib
import re
import threading
import time

import pytest

import lab as L
import mails
from lab import wait_for
from mail_servers import PASSWORD
from peers import OCTETS
from retrieval_peers import FakePop3

MODES = ["tproxy", "forward"]  # redirect: test_retrieval_clients


@pytest.fixture
def fake_pop3(lab):
    made = []

    def make(messages=(), **options):
        made.append(FakePop3(lab.server, L.FAKE, messages=messages, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


@pytest.fixture
def pop3(gateway):
    """pop3(server, **pop3 settings): a gateway for POP3."""
    def make(server, **settings):
        own = settings.pop("pop3", {})
        return gateway(server, protocol="pop3", pop3=own, **settings)

    return make


def session_record(gate):
    return gate.record("pop3", lambda r: "session" in r["pop3"])["pop3"]["session"]


def opened(gate, account=None, **options):
    client = gate.client(**options)
    return client.login(account.user, account.password) if account else client.login()


# ---- messages ----


def test_every_message_as_it_is_O6(pop3, dovecot):
    """Retrieved through the gateway: octet by octet what the server gives without it."""
    account = dovecot.account(mails.WILD)
    held = account.messages()
    gate = pop3(dovecot)
    with opened(gate, account) as client:
        assert len(client.lines("LIST")) == len(held)
        for i, message in enumerate(held, 1):
            got = client.retr(i)
            # POP3 has no message without a line end
            assert got in (message, message + b"\r\n"), (i, len(got), len(message))
        client.quit()
    record = session_record(gate)
    assert record["retrieved"] == len(held)
    assert record["mode"] == "download_and_keep"
    assert len(gate.records("email")) == len(held)


def test_every_message_of_another_server_O6(pop3, cyrus):
    account = cyrus.account(mails.TAME)
    gate = pop3(cyrus)
    with opened(gate, account) as client:
        assert [client.retr(i) for i in range(1, len(mails.TAME) + 1)] == mails.TAME
        client.quit()


@pytest.mark.parametrize("mode", ["forward"])
def test_a_mailbox_of_thousands_P_016(pop3, dovecot):
    account = dovecot.account([mails.plain(str(i)) for i in range(3000)])
    gate = pop3(dovecot)
    with opened(gate, account) as client:
        assert len(client.lines("LIST")) == len(client.lines("UIDL")) == 3000
        client.send("".join(f"RETR {i}\r\n" for i in range(1, 1001)))
        for i in range(1, 1001):
            assert client.reply(60).ok
            assert client.content(60).startswith(b"From: anna")
        client.quit()
    record = session_record(gate)
    assert (record["listed"], record["retrieved"]) == (3000, 1000)


def test_top_is_partial_O6(pop3, mailbox_server):
    account = mailbox_server.account([mails.with_file()])
    gate = pop3(mailbox_server)
    with opened(gate, account) as client:
        assert client.cmd("TOP 1 0").ok
        assert client.content().rstrip(b"\r\n") == mails.with_file().split(b"\r\n\r\n")[0]
        client.quit()
    record = gate.record("email")
    assert record["message"]["command"] == "TOP"
    assert record["message"]["partial"] is True
    assert session_record(gate)["tops"] == 1


@pytest.mark.parametrize("mark", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n"])
@pytest.mark.parametrize("mode", ["forward"])
def test_what_is_no_end_P_003(pop3, fake_pop3, mark):
    """Content to us as to the server; and an event, since a careless client may end there."""
    message = mails.plain(body=b"one" + mark + b"two\r\n")
    stuffed = mark.replace(b"\r\n.", b"\r\n..")
    wire = message.replace(mark, stuffed)
    server = fake_pop3(replies={"RETR": b"+OK\r\n" + wire + b".\r\n"})
    gate = pop3(server)
    with opened(gate) as client:
        assert client.cmd("RETR 1").ok
        assert client.until(b"\r\n.\r\n") == wire + b".\r\n"
        assert client.cmd("NOOP").ok
    gate.anomaly()


def test_dots_P_004(pop3, dovecot):
    account = dovecot.account([mails.plain("dots", mails.DOTS)])
    gate = pop3(dovecot)
    with opened(gate, account) as client:
        client.cmd("RETR 1")
        assert client.until(b"\r\n.\r\n").endswith(b"\r\n\r\n..\r\n...\r\n....\r\n..hidden\r\n.. \r\n\r\n..\r\n.\r\n")
    part, = gate.record("email")["email"]["parts"]
    assert part["sha256"] == hashlib.sha256(mails.DOTS).hexdigest()


# ---- commands and replies ----


def test_pipelining_P_005(pop3, mailbox_server):
    account = mailbox_server.account(mails.TAME[:3])
    gate = pop3(mailbox_server)
    with opened(gate, account) as client:
        client.send("RETR 1\r\nLIST\r\nLIST 2\r\nUIDL\r\nTOP 2 1\r\nRETR 99\r\nSTAT\r\nRETR 3\r\nDELE 1\r\nQUIT\r\n")
        assert client.reply().ok and client.content() == mails.TAME[0]
        assert client.reply().ok and len(client.content().splitlines()) == 3
        assert client.reply().text.startswith("+OK 2 ")
        assert client.reply().ok and len(client.content().splitlines()) == 3
        assert client.reply().ok and client.content().startswith(b"From: ")
        assert not client.reply().ok
        assert client.reply().text.startswith("+OK 3 ")
        assert client.reply().ok and client.content() == mails.TAME[2]
        assert client.reply().ok and client.reply().ok
    assert account.messages() == mails.TAME[1:3]
    assert session_record(gate)["update"] is True


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("how", [OCTETS, 3])
def test_commands_in_pieces(pop3, dovecot, how):
    account = dovecot.account(mails.TAME[:1])
    with opened(pop3(dovecot), account) as client:
        assert client.cmd("STAT", how).ok
        assert client.cmd("RETR 1", how).ok and client.content() == mails.TAME[0]


def test_a_line_of_255_octets_and_a_longer_one_P_001_O8(pop3, fake_pop3):
    server = fake_pop3()
    gate = pop3(server)
    with opened(gate) as client:
        assert client.cmd("LANG " + "x" * 248).ok
        assert not client.cmd("LANG " + "x" * 600).ok
        assert client.cmd("NOOP").ok
        client.send(b"x" * 20_000)
        assert b"-ERR" in client.rest()
    assert max(map(len, server.commands)) <= 512


def test_a_reply_of_many_lines_to_STAT_P_006(pop3, fake_pop3):
    gate = pop3(fake_pop3(replies={"STAT": b"+OK 1 2\r\n1 2\r\n.\r\n"}))
    with opened(gate) as client:
        client.cmd("STAT")
        client.rest()
    gate.anomaly()


def test_APOP_P_007_O2(pop3, mailbox_server):
    account = mailbox_server.account()
    gate = pop3(mailbox_server)
    client = gate.client()
    with client:
        greeting = client.reply()
        stamp = re.search(r"<.*>", greeting.text).group()
        digest = hashlib.md5((stamp + PASSWORD).encode()).hexdigest()
        assert client.cmd(f"APOP {account.user} {digest}").ok
        client.quit()
    assert session_record(gate)["mechanism"] == "APOP"
    assert digest not in gate.log.read_text()


def test_CAPA_P_008_O3(pop3, fake_pop3):
    gate = pop3(fake_pop3())
    with gate.client() as client:
        client.reply()
        assert client.lines("CAPA") == [c.encode() for c in FakePop3.CAPA if c != "STLS"]
        assert not client.cmd("STLS").ok


def sasl(client, mechanism, *answers):
    client.reply()
    said = client.cmd(f"AUTH {mechanism}")
    for answer in answers:
        assert said.text.startswith("+ "), said
        said = client.cmd(base64.b64encode(answer))
    return said


def test_AUTH_in_steps_P_009_O2(pop3, mailbox_server):
    account = mailbox_server.account()
    gate = pop3(mailbox_server)
    with gate.client() as client:
        assert sasl(client, "LOGIN", account.user.encode(), PASSWORD.encode()).ok
        client.quit()
    assert session_record(gate)["mechanism"] == "LOGIN"


def test_AUTH_given_up_P_009(pop3, mailbox_server):
    account = mailbox_server.account()
    gate = pop3(mailbox_server)
    with gate.client() as client:
        client.reply()
        assert client.cmd("AUTH PLAIN").text.startswith("+")
        assert not client.cmd("*").ok
        text = base64.b64encode(f"\0{account.user}\0{PASSWORD}".encode()).decode()
        assert client.cmd("AUTH PLAIN " + text).ok
        client.quit()


@pytest.mark.parametrize("initial", [True, False])
def test_a_long_token_P_009_O8(pop3, fake_pop3, initial):
    """As OAuth has them: 12 KB in one line, which is no command and never in a record."""
    token = base64.b64encode(mails.octets(8900)).decode()

    def script(c):
        c.send(b"+OK\r\n")
        c.command()
        if not initial:
            c.send(b"+ \r\n")
            c.command()
        c.send(b"+OK in\r\n")
        c.rest()

    server = fake_pop3(script=script)
    gate = pop3(server)
    with gate.client() as client:
        client.reply()
        if initial:
            assert client.cmd("AUTH XOAUTH2 " + token).ok
        else:
            assert client.cmd("AUTH XOAUTH2").text.startswith("+")
            assert client.cmd(token).ok
    assert any(token.encode() in line for line in server.commands)
    gate.flow()
    assert token not in gate.log.read_text()


@pytest.mark.parametrize("way", ["close", "reset"])
def test_deletions_without_QUIT_are_none_P_010(pop3, mailbox_server, way):
    account = mailbox_server.account(mails.TAME[:2])
    gate = pop3(mailbox_server)
    client = opened(gate, account)
    assert client.cmd("DELE 1").ok
    getattr(client, way)()
    gate.flow()
    record = session_record(gate)
    assert (record["deleted"], record["update"]) == (1, False)
    wait_for(lambda: account.messages() == mails.TAME[:2], 5, "both messages")


def test_deletions_with_QUIT_O9(pop3, mailbox_server):
    account = mailbox_server.account(mails.TAME[:2])
    gate = pop3(mailbox_server)
    with opened(gate, account) as client:
        client.retr(1)
        assert client.cmd("DELE 1").ok
        client.quit()
    assert account.messages() == mails.TAME[1:2]
    record = session_record(gate)
    assert record["mode"] == "download_and_delete"
    assert (record["deleted"], record["update"], record["retrieved_octets"]) == (1, True, len(mails.TAME[0]))


@pytest.mark.parametrize("mode", ["tproxy", "forward"])
def test_a_gateway_that_dies_deletes_nothing_P_010(pop3, dovecot):
    account = dovecot.account(mails.TAME[:2])
    gate = pop3(dovecot)
    with opened(gate, account) as client:
        assert client.cmd("DELE 1").ok
        gate.kill_worker()
        assert client.rest() == b""
    assert account.messages() == mails.TAME[:2]


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n."])
def test_a_server_that_dies_in_a_message_P_011(pop3, fake_pop3, end):
    def script(c):
        for answer in (b"+OK\r\n", b"+OK\r\n", b"+OK\r\n"):
            c.send(answer)
            c.command()
        c.send(b"+OK\r\n" + mails.plain() + b"x" * 5000 + end)
        c.reset()

    gate = pop3(fake_pop3(script=script))
    with opened(gate) as client:
        client.send("RETR 1\r\n")
        got = client.rest()
    assert not got.endswith(b"\r\n.\r\n")
    assert gate.record("email")["message"]["outcome"] == "aborted"


def test_a_client_that_dies_in_a_message_P_011(pop3, dovecot):
    account = dovecot.account([mails.large(5_000_000)])
    gate = pop3(dovecot)
    client = opened(gate, account, rcvbuf=4096)
    client.send("RETR 1\r\n")
    client.exactly(10_000)
    client.reset()
    assert gate.record("email")["message"]["outcome"] == "aborted"
    assert session_record(gate)["update"] is False


def test_octets_of_8_bits_P_012(pop3, fake_pop3):
    server = fake_pop3()
    with pop3(server).client() as client:
        client.reply()
        assert client.cmd("UTF8").ok
        assert client.cmd("USER J\u00f6rg").ok
        assert client.cmd("PASS geh\u00e9im").ok
    assert "USER J\u00f6rg\r\n".encode() in server.commands


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "AUTH x", "*1", "EHLO there", "SET a b"])
@pytest.mark.parametrize("mode", ["forward"])
def test_another_protocol_P_013(pop3, fake_pop3, line):
    server = fake_pop3()
    gate = pop3(server)
    with gate.client() as client:
        client.reply()
        client.send(line + "\r\nHost: x\r\n\r\n")
        try:
            client.send("NOOP\r\n" * 5)
        except OSError:
            pass
        said = client.rest(5)
    assert said.count(b"+OK") <= 1 or line.startswith("AUTH"), said
    assert b"GET / HTTP/1.1\r\n" not in server.commands


def test_errors_before_login_P_014(pop3, fake_pop3):
    server = fake_pop3()
    with pop3(server).client() as client:
        client.reply()
        client.send("FOO\r\nBAR\r\nBAZ\r\n")
        assert client.rest().count(b"-ERR") == 3
    assert server.ended().commands == []


@pytest.mark.parametrize("mode", ["forward"])
def test_idle_sessions_stay_for_ten_minutes_P_015(pop3, fake_pop3):
    """RFC 1939 s3: no configuration can make it less; before a login it can."""
    gate = pop3(fake_pop3(), pop3={"timeouts": {"login": 10}})
    with gate.client() as client, opened(gate) as other:
        client.reply()
        assert b"+OK" not in client.rest(15)
        assert other.cmd("NOOP").ok
    gate.configure(pop3={"timeouts": {"command": 599}})
    done = gate.namespace.run(gate.binary, "check", "-c", gate.file)
    assert done.returncode != 0 and "pop3.timeouts.command" in done.stderr, done


@pytest.mark.parametrize("mode", ["forward"])
def test_two_million_lines_P_016(pop3, fake_pop3):
    """A list of any length goes by, and nothing of it stays."""
    lines = 2_000_000

    def script(c):
        c.send(b"+OK\r\n")
        for _ in range(2):
            c.command()
            c.send(b"+OK\r\n")
        c.command()
        c.send(b"+OK\r\n")
        for i in range(1, lines + 1, 10_000):
            c.send(b"".join(b"%d 100\r\n" % j for j in range(i, i + 10_000)))
        c.send(b".\r\n")
        c.rest()

    gate = pop3(fake_pop3(script=script))
    with opened(gate) as client:
        since = gate.memory()
        client.send("LIST\r\n")
        counted, tail = 0, b""
        while not tail.endswith(b"\r\n.\r\n"):
            client.fill(30)
            octets = client.exactly(len(client.pending))
            counted += octets.count(b"\n")
            tail = (tail + octets)[-5:]
            client._received.clear()
        assert counted == lines + 2
        assert gate.grew(since) < 2 << 20


def test_STLS_after_login_P_017(pop3, mailbox_server):
    account = mailbox_server.account()
    with opened(pop3(mailbox_server), account) as client:
        assert not client.cmd("STLS").ok
        assert client.cmd("NOOP").ok


@pytest.mark.parametrize("mode", ["forward"])
def test_back_pressure_P_002(pop3, dovecot):
    """A client that does not read stops the server; 50 MB go by in bounded memory."""
    account = dovecot.account([mails.large(50_000_000)])
    gate = pop3(dovecot)
    with opened(gate, account, rcvbuf=8192) as client:
        since = gate.memory()
        client.send("RETR 1\r\n")
        client.exactly(100)
        time.sleep(1)
        assert gate.grew(since) < 1 << 20
        digest, tail = hashlib.sha256(), b""
        while not tail.endswith(b"\r\n.\r\n"):
            client.fill(30)
            tail = (tail + client.exactly(len(client.pending)))[-5:]
            client._received.clear()
        assert gate.grew(since) < 2 << 20
        assert client.cmd("NOOP").ok
    assert gate.record("email")["message"]["outcome"] == "complete"


# ---- policy ----


def test_denied_commands_O1(pop3, fake_pop3):
    server = fake_pop3(mails.TAME[:1])
    gate = pop3(server, pop3={"deny": ["TOP"]})
    with opened(gate) as client:
        assert not client.cmd("TOP 1 0").ok
        assert client.retr(1) == mails.TAME[0]
        client.quit()
    assert not any(line.startswith(b"TOP") for line in server.commands)
    refused = gate.record("pop3", lambda r: r["pop3"].get("command", "").startswith("TOP"))
    assert refused["verdict"]["reason"] == "denied"
    assert session_record(gate)["refused"] == 1


def test_read_only_O1(pop3, mailbox_server):
    account = mailbox_server.account(mails.TAME[:2])
    gate = pop3(mailbox_server, pop3={"read_only": True})
    with opened(gate, account) as client:
        assert client.retr(1) == mails.TAME[0]
        assert not client.cmd("DELE 1").ok
        client.quit()
    assert account.messages() == mails.TAME[:2]


CONTENT = {"mismatch": "enforce"}


def test_a_refused_message_is_reported_O7(pop3, mailbox_server):
    account = mailbox_server.account([mails.program()])
    gate = pop3(mailbox_server, content=CONTENT)
    with opened(gate, account) as client:
        assert client.retr(1) == mails.program()
        client.quit()
    record = gate.record("email")
    assert record["verdict"]["action"] != "pass"
    assert record["message"]["outcome"] == "complete"


@pytest.mark.parametrize("more", ["", "DELE 1\r\nQUIT\r\n"], ids=["", "pipelined"])
def test_a_refused_message_is_cut_O7_P_010(pop3, mailbox_server, more):
    """No client takes it for whole, and nothing is deleted, whatever the client said behind it."""
    account = mailbox_server.account([mails.program(), mails.plain()])
    gate = pop3(mailbox_server, content=CONTENT, pop3={"refused_message": "cut"})
    with opened(gate, account) as client:
        assert client.retr(2) == mails.plain()
        client.send("DELE 2\r\nRETR 1\r\n" + more)
        got = client.rest()
    assert b"\r\n.\r\n" not in got
    assert gate.record("email", lambda r: r["message"]["number"] == 1)["message"]["outcome"] == "cut"
    assert session_record(gate)["update"] is False
    assert sorted(account.messages()) == sorted([mails.program(), mails.plain()])


# ---- many ----


@pytest.mark.parametrize("mode", ["tproxy"])
def test_two_hundred_sessions_at_a_time(pop3, dovecot):
    account = [dovecot.account(mails.TAME) for _ in range(20)]
    gate = pop3(dovecot, workers=2, limits={"sessions_per_client": 1000, "pending_connects_per_client": 1000,
                                          "auth_failures_per_minute": 0})
    faults, together = [], threading.Barrier(20)

    def ten(mine):
        """Ten sessions, all open while the others are."""
        try:
            clients = [opened(gate, mine, timeout=60) for _ in range(10)]
            together.wait(60)
            for client in clients:
                assert [client.retr(i) for i in range(1, len(mails.TAME) + 1)] == mails.TAME
            together.wait(60)
            for client in clients:
                client.quit()
        except BaseException as fault:
            faults.append(fault)
            together.abort()

    threads = [threading.Thread(target=ten, args=(mine,)) for mine in account]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[:3]
    wait_for(lambda: len(gate.records("flow")) == 200, 20, "200 records")
    assert len(gate.records("email")) == 200 * len(mails.TAME)
