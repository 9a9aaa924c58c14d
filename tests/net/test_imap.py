"""
IMAP through the gateway: real servers and scripted ones. SECURITY cases I-001 to I-029; FIELD rows I1
to I5, I7 to I12.

I-027 (names of certificates) comes with TLS. imaptest (I-030) is no Debian package: what its scripts say
goes through the gateway in tests/cases, and real clients do in test_retrieval_clients.
"""

import base64
import hashlib
import threading
import time

import pytest

import lab as L
import mails
from lab import wait_for
from mail_servers import PASSWORD, crlf
from peers import OCTETS
from retrieval_peers import FakeImap, literals, response

MODES = ["tproxy", "forward"]  # redirect: test_retrieval_clients
FORWARD = pytest.mark.parametrize("mode", ["forward"])
CONTENT = {"mismatch": "enforce"}


@pytest.fixture
def fake_imap(lab):
    made = []

    def make(messages=(), **options):
        made.append(FakeImap(lab.server, L.FAKE, messages=messages, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()
        assert not server.errors, server.errors


@pytest.fixture
def imap(gateway):
    """imap(server, **settings): a gateway for IMAP."""
    return lambda server, **settings: gateway(server, protocol="imap", **settings)


def session_record(gate):
    return gate.record("imap", lambda r: "session" in r["imap"])["imap"]["session"]


def opened(gate, account=None, **options):
    client = gate.client(**options)
    return client.login(account.user, account.password) if account else client.login()


# ---- messages ----


def test_every_message_as_it_is_I7(imap, dovecot):
    """Fetched through the gateway: octet by octet what the server gives without it."""
    account = dovecot.account(mails.WILD)
    held = account.messages()
    assert held == [crlf(m) for m in mails.WILD]
    gate = imap(dovecot)
    with opened(gate, account).select() as client:
        assert client.fetch("1:*", "(UID BODY.PEEK[])") == held
        client.logout()
    record = session_record(gate)
    assert record["fetched"] == len(held)
    assert record["fetched_octets"] == sum(map(len, held))
    assert len(gate.records("email")) == len(held)


@pytest.mark.parametrize("items", ["BODY[]", "RFC822", "(FLAGS UID RFC822.SIZE ENVELOPE BODY.PEEK[] BODYSTRUCTURE)",
                                   "(BODY.PEEK[HEADER] BODY.PEEK[TEXT])"])
@FORWARD
def test_whole_messages_by_every_item_I7(imap, mailbox_server, items):
    account = mailbox_server.account(mails.TAME)
    direct = account.imap()
    direct.select(readonly=True)
    gate = imap(mailbox_server)
    with opened(gate, account) as client:
        client.did("EXAMINE INBOX")
        got = client.did(f"FETCH 1:* {items}", timeout=60)
        client.logout()
    said = b"".join(x if isinstance(x, bytes) else b"".join(x) for x in direct.fetch("1:*", items)[1])
    direct.logout()
    assert sorted(literals(got)) and sum(map(len, literals(got))) <= len(said)
    for one in mails.TAME:
        assert all(part in got for part in ([one] if "HEADER" not in items else one.split(b"\r\n\r\n", 1)))


@FORWARD
def test_a_mailbox_of_thousands_I2(imap, dovecot):
    n = 3000
    account = dovecot.account([mails.plain(str(i)) for i in range(n)])
    gate = imap(dovecot)
    with opened(gate, account).select() as client:
        since = gate.memory()
        assert client.did("FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE)", 60).count(b"* ") >= n
        assert len(client.fetch("1:*", "BODY.PEEK[]")) == n
        assert len(client.did("UID SEARCH ALL").split()) >= n
        client.did("STORE 1:* +FLAGS (\\Deleted)", 60)
        client.did("EXPUNGE", 60)
        client.logout()
    assert gate.grew(since) < 8 << 20
    record = session_record(gate)
    assert (record["fetched"], record["expunged"]) == (n, n)


def part_paths(record):
    return {p["path"]: p["sha256"] for p in record["email"]["parts"] if "sha256" in p}


def test_parts_alone_I7(imap, mailbox_server):
    """By path, with the type and name that BODYSTRUCTURE told; the digests are those of the whole."""
    account = mailbox_server.account([mails.nested()])
    gate = imap(mailbox_server)
    with opened(gate, account).select() as client:
        client.fetch(1, "BODY.PEEK[]")
        whole = part_paths(gate.record("email"))
        client.did("FETCH 1 (BODYSTRUCTURE)")
        paths = [path for path in whole if path]
        for path in paths:
            client.fetch(1, f"(UID BODY.PEEK[{path}])")
        client.logout()
    for path in paths:
        record = gate.record("email", lambda r, p=path: r["message"].get("section") == p)
        assert part_paths(record).get(path) == whole[path], path
    picture = gate.record("email", lambda r: r["message"].get("section") == "2")["email"]["parts"][0]
    assert (picture["mime_type"], picture["filename"]) == ("image/png", "picture.png")


@pytest.mark.parametrize("size", [100, 4096, 65536])
def test_in_slices_I7(imap, mailbox_server, size):
    """One record, when the message is complete, that says the same as that of one piece."""
    message = mails.large(200_000) if size > 100 else mails.nested()
    account = mailbox_server.account([message])
    gate = imap(mailbox_server)
    with opened(gate, account).select() as client:
        got = b"".join(client.fetch(1, f"(UID BODY.PEEK[]<{at}.{size}>)")[0] for at in range(0, len(message), size))
        assert got == message
        wait_for(lambda: len(gate.records("email")) == 1, 5, "one record")
        client.fetch(1, "(UID BODY.PEEK[])")
        client.logout()
    wait_for(lambda: len(gate.records("email")) == 2, 5, "two records")
    sliced, whole = gate.records("email")
    assert sliced["email"] == whole["email"]
    assert sliced["message"]["outcome"] == "complete"


def test_slices_with_a_gap_I7(imap, dovecot):
    account = dovecot.account([mails.large(200_000)])
    gate = imap(dovecot)
    with opened(gate, account).select() as client:
        client.fetch(1, "(UID BODY.PEEK[]<0.1000>)")
        client.fetch(1, "(UID BODY.PEEK[]<5000.1000>)")
        client.logout()
    gate.flow()
    assert gate.records("email")
    assert all(r["message"]["outcome"] == "partial" for r in gate.records("email"))


def test_BINARY_I_008(imap, cyrus):
    """The server has undone the transfer encoding."""
    payload = mails.octets(5000) + b"\0"
    account = cyrus.account([mails.with_file(payload=payload, kind="image/png", name="a.png")])
    gate = imap(cyrus)
    with opened(gate, account).select() as client:
        assert client.fetch(1, "BINARY.PEEK[2]") == [payload]
        client.logout()
    record = gate.record("email")
    assert record["message"]["section"] == "2"
    assert hashlib.sha256(payload).hexdigest() in part_paths(record).values()


def test_octets_that_look_like_replies_I_009(imap, fake_imap):
    message = b"a1 OK done\r\n* BYE x\r\n)\r\na3 BAD {5}\r\n+ go\r\n* 1 FETCH (BODY[] {3}\r\nabc)\r\n"
    gate = imap(fake_imap([message] * 3))
    with opened(gate).select() as client:
        assert client.fetch("1:3", "BODY[]") == [message] * 3
        assert client.cmd("NOOP").ok
        client.logout()


@FORWARD
def test_50_MB_and_back_pressure_I_010(imap, dovecot):
    """A client that does not read stops the server; memory is bounded, octets exact."""
    message = mails.large(50_000_000)
    account = dovecot.account([message])
    gate = imap(dovecot)
    with opened(gate, account, rcvbuf=8192).select() as client:
        since = gate.memory()
        client.send("x FETCH 1 BODY.PEEK[]\r\n")
        head = client.line()
        n = int(head[head.index(b"{") + 1:head.index(b"}")])
        assert n == len(message)
        time.sleep(1)
        assert gate.grew(since) < 1 << 20
        digest, left = hashlib.sha256(), n
        while left:
            if not client.pending:
                client.fill(30)
            piece = client.exactly(min(left, len(client.pending)))
            client._received.clear()
            digest.update(piece)
            left -= len(piece)
        assert digest.digest() == hashlib.sha256(message).digest()
        assert client.tagged("x").ok
        assert gate.grew(since) < 2 << 20
    assert gate.record("email")["message"]["outcome"] == "complete"


# ---- literals ----


@pytest.mark.parametrize("n", ["4294967295", "4294967296", "18446744073709551615", "99999999999999999999", "8193"])
@FORWARD
def test_a_huge_literal_before_login_I_001_I3(imap, fake_imap, n):
    server = fake_imap()
    gate = imap(server)
    with gate.client() as client:
        client.greeting()
        since = gate.memory()
        client.send(f"a LOGIN {{{n}}}\r\n")
        said = client.rest()
        assert said.startswith((b"a BAD", b"a NO [TOOBIG]")), said
        assert gate.grew(since) < 1 << 20
    assert not any(b"LOGIN" in line for line in server.commands)


@pytest.mark.parametrize("literal", ["{-1}", "{+5}", "{5 }", "{}", "{5-}", "{5++}", "{ 5}", "{5", "{a}", "{5}x"])
@FORWARD
def test_literals_that_are_none_I_002(imap, fake_imap, literal):
    server = fake_imap()
    gate = imap(server)
    with opened(gate) as client:
        client.send(f"a CREATE {literal}\r\nhello\r\n")
        assert b"a BAD" in client.rest(3)
    assert not any(b"CREATE" in line for line in server.commands)


@FORWARD
def test_a_literal_with_a_leading_zero_I_002(imap, fake_imap):
    """number is 1*DIGIT in RFC 9051: either refused, or passed with what follows counted."""
    server = fake_imap()
    with opened(imap(server)) as client:
        client.send("a CREATE {05}\r\n")
        said = client.reply()
        if said.tag == "+":
            client.send("hello\r\n")
            assert client.tagged("a").ok
            assert server.commands[-1] == b"a CREATE {05}\r\nhello\r\n"
        else:
            assert said.status == "BAD"


@FORWARD
def test_4_GiB_announced_by_APPEND_I_003_I_011(imap, fake_imap):
    """Nothing is allocated; what is not sent is not stored."""
    server = fake_imap()
    gate = imap(server)
    with opened(gate).select() as client:
        since = gate.memory()
        client.send("a APPEND INBOX {4294967296}\r\n")
        assert client.tagged("a").tag == "+"
        client.send(b"x" * 1_000_000)
        time.sleep(0.3)
        assert gate.grew(since) < 2 << 20
    server.ended()
    assert server.stored == []
    gate.flow()


@FORWARD
def test_a_message_that_is_too_large_I_003(imap, fake_imap):
    server = fake_imap()
    with opened(imap(server, imap={"message_size": 65536})) as client:
        said = client.append(b"x" * 65537)
        assert said.status == "NO" and "TOOBIG" in said.text
    assert server.stored == []


def test_LITERAL_plus_I_004(imap, mailbox_server):
    account = mailbox_server.account()
    with imap(mailbox_server).client() as client:
        client.greeting()
        client.send(f"a LOGIN {{{len(account.user)}+}}\r\n{account.user} {{{len(PASSWORD)}+}}\r\n{PASSWORD}\r\n")
        assert client.tagged("a").ok
        assert client.append(mails.plain(), plus=True).ok
        client.logout()
    assert account.messages() == [mails.plain()]


def test_synchronising_literals_I_004_I_022(imap, mailbox_server):
    """The password is in a literal, on a line of its own: in no record."""
    account = mailbox_server.account()
    gate = imap(mailbox_server)
    with gate.client() as client:
        client.greeting()
        client.send(f"a LOGIN {{{len(account.user)}}}\r\n")
        assert client.tagged("a").tag == "+"
        client.send(f"{account.user} {{{len(PASSWORD)}}}\r\n")
        assert client.tagged("a").tag == "+"
        client.send(f"{PASSWORD}\r\n")
        assert client.tagged("a").ok
        client.logout()
    assert session_record(gate)["user"] == account.user
    assert PASSWORD not in gate.log.read_text()


@FORWARD
def test_LITERAL_plus_that_was_not_offered_I_005(imap, fake_imap):
    """The server would read the literal as a command."""
    server = fake_imap(capabilities="IMAP4rev1")
    with opened(imap(server)) as client:
        client.send("a CREATE {13+}\r\nb DELETE all\r\n\r\n")
        assert b"a BAD" in client.rest(5)
    assert not any(b"DELETE" in line or b"CREATE" in line for line in server.commands)


@pytest.mark.parametrize("n,taken", [(4096, True), (4097, False)])
@FORWARD
def test_LITERAL_minus_I_006(imap, fake_imap, n, taken):
    server = fake_imap(capabilities="IMAP4rev1 LITERAL-")
    with opened(imap(server)) as client:
        client.send(f"a CREATE {{{n}+}}\r\n{'x' * n}\r\n")
        if taken:
            assert client.tagged("a").ok
        else:
            assert b"a BAD" in client.rest(5)
    assert any(b"CREATE" in line for line in server.commands) == taken


@pytest.mark.parametrize("wait", [0, 0.3])
@FORWARD
def test_a_literal_that_the_server_refuses_I_007(imap, fake_imap, wait):
    """What the client sent without waiting is then a command, to both sides."""
    def script(c):
        c.send(b"* OK [CAPABILITY IMAP4rev1] fake\r\n")
        c.send(c.command().split()[0] + b" OK in\r\n")
        c.command()
        time.sleep(wait)
        c.send(b"a NO [ALERT] too much\r\n")
        c.send(c.command().split()[0] + b" OK\r\n")
        c.rest()

    server = fake_imap(script=script)
    server.command = lambda c: None
    with opened(imap(server)) as client:
        client.send("a APPEND INBOX {20}\r\nb NOOP\r\n")
        assert client.tagged("a").status == "NO"
        assert client.tagged("b").ok
    assert server.conversations[-1].commands[-1] == b"b NOOP\r\n"


def test_a_command_that_is_refused_with_a_literal_I3(imap, fake_imap):
    """Whoever waits for "+" gets the NO in its place; with {n+} the octets are thrown away."""
    server = fake_imap()
    gate = imap(server, imap={"deny": ["CREATE"]})
    with opened(gate) as client:
        client.send("a CREATE {5}\r\n")
        assert client.tagged("a").status == "NO"
        assert client.cmd("NOOP").ok
        client.send("b CREATE {5+}\r\nc BAD\r\nd NOOP\r\n")
        assert client.tagged("b").status == "NO"
        assert client.tagged("d").ok
        client.logout()
    assert not any(b"CREATE" in line or b"BAD" in line for line in server.commands)
    assert session_record(gate)["refused"] == 2


@FORWARD
@pytest.mark.parametrize("how", [OCTETS, 4])
def test_commands_in_pieces(imap, dovecot, how):
    account = dovecot.account([mails.nested()])
    with opened(imap(dovecot), account).select() as client:
        assert literals(client.cmd("FETCH 1 BODY[]", how).before) == [mails.nested()]
        client.send("x APPEND INBOX {%d+}\r\n%s\r\n" % (len(mails.plain()), mails.plain().decode()), how)
        assert client.tagged("x").ok
        client.logout()
    assert account.messages() == [mails.nested(), mails.plain()]


# ---- APPEND ----


def test_APPEND_I8(imap, mailbox_server):
    account = mailbox_server.account()
    gate = imap(mailbox_server)
    with opened(gate, account) as client:
        for message in mails.TAME:
            assert client.append(message, options="(\\Seen) ").ok
        client.logout()
    assert account.messages() == mails.TAME
    record = session_record(gate)
    assert (record["appended"], record["appended_octets"]) == (len(mails.TAME), sum(map(len, mails.TAME)))
    assert [r["message"]["command"] for r in gate.records("email")] == ["APPEND"] * len(mails.TAME)


@pytest.mark.parametrize("plus", [False, True])
def test_a_refused_APPEND_stores_nothing_I8(imap, mailbox_server, plus):
    """NO [CANNOT] and the reason, BYE, and nothing stored, at either server."""
    account = mailbox_server.account([mails.plain()])
    gate = imap(mailbox_server, content=CONTENT)
    client = opened(gate, account)
    with client:
        said = client.append(mails.program(), plus=plus)
        assert (said.status, said.text.split()[2]) == ("NO", "[CANNOT]"), said
        assert client.rest(5).startswith(b"* BYE")
    record = gate.record("email")
    assert record["message"]["outcome"] == "refused"
    assert record["verdict"]["action"] == "refuse"
    time.sleep(0.3)
    assert account.messages() == [mails.plain()]
    assert session_record(gate).get("appended", 0) == 0


def multiappend(client, *messages):
    client.send("m APPEND INBOX")
    for i, message in enumerate(messages):
        client.send(f" (\\Seen) {{{len(message)}+}}\r\n".encode() + message)
    client.send("\r\n")
    return client.tagged("m", 20)


def test_MULTIAPPEND_I_008(imap, cyrus):
    account = cyrus.account()
    gate = imap(cyrus, content=CONTENT)
    with opened(gate, account) as client:
        assert multiappend(client, mails.plain("one"), mails.nested(), mails.plain("three")).ok
        client.logout()
    assert account.messages() == [mails.plain("one"), mails.nested(), mails.plain("three")]
    assert session_record(gate)["appended"] == 3


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_refused_MULTIAPPEND_stores_none_I_008(imap, cyrus, at):
    account = cyrus.account()
    batch = [mails.plain("one"), mails.plain("two")]
    batch.insert(at, mails.program())
    with opened(imap(cyrus, content=CONTENT), account) as client:
        said = multiappend(client, *batch)
        assert said.status == "NO" and "[CANNOT]" in said.text
        client.rest(5)
    time.sleep(0.3)
    assert account.messages() == []


@FORWARD
def test_CATENATE_I_008(imap, cyrus):
    account = cyrus.account()
    gate = imap(cyrus, content=CONTENT)
    for message, fine in ((mails.nested(), True), (mails.program(), False)):
        with opened(gate, account) as client:
            half = len(message) // 2
            client.send(f"c APPEND INBOX CATENATE (TEXT {{{half}+}}\r\n".encode() + message[:half]
                        + f" TEXT {{{len(message) - half}+}}\r\n".encode() + message[half:] + b")\r\n")
            assert client.tagged("c", 10).ok == fine
    time.sleep(0.3)
    assert account.messages() == [mails.nested()]


@pytest.mark.parametrize("mode", ["tproxy", "forward"])
@pytest.mark.parametrize("end", ["client", "gateway"])
def test_an_APPEND_that_breaks_off_stores_nothing_I8(imap, mailbox_server, end):
    account = mailbox_server.account()
    gate = imap(mailbox_server)
    client = opened(gate, account)
    message = mails.large(300_000)
    client.send(f"a APPEND INBOX {{{len(message)}}}\r\n")
    assert client.tagged("a").tag == "+"
    client.send(message)  # all of it, but for the CR LF
    time.sleep(0.3)
    if end == "gateway":
        gate.kill_worker()
        client.rest(5)
    client.close()
    time.sleep(0.3)
    assert account.messages() == []
    if end == "client":
        assert gate.record("email")["message"]["outcome"] == "aborted"


# ---- lines, tags, nesting ----


@pytest.mark.parametrize("line", ["* NOOP", "+ NOOP", " NOOP", "a\0 NOOP", "a" * 1000 + " NOOP", "(a NOOP", "a%b NOOP",
                                  'a"b NOOP', "a{b NOOP"])
@FORWARD
def test_tags_that_are_none_I_014(imap, fake_imap, line):
    server = fake_imap()
    with opened(imap(server)) as client:
        n = len(server.commands)
        client.send(line + "\r\n")
        assert b"BAD" in client.line()
        assert len(server.commands) == n


@FORWARD
def test_the_same_tag_twice_I_014(imap, fake_imap):
    with opened(imap(fake_imap(replies={"NOOP": b"<tag> OK one\r\n", "CHECK": b"<tag> NO two\r\n"}))).select() as client:
        client.send("x NOOP\r\nx CHECK\r\n")
        assert [client.tagged("x").status, client.tagged("x").status] == ["OK", "NO"]


@FORWARD
@pytest.mark.parametrize("side", ["client", "server"])
def test_100_000_brackets_I_012(imap, fake_imap, side):
    server = fake_imap(replies={"NOOP": b"* LIST " + b"(" * 100_000 + b"\r\n<tag> OK\r\n"})
    gate = imap(server)
    with opened(gate) as client:
        since = gate.memory()
        client.send("a " + ("SEARCH " + "(" * 50_000 if side == "client" else "NOOP") + "\r\n")
        said = client.rest(5)
        assert side == "server" or b"BAD" in said
        assert gate.grew(since) < 1 << 20
    assert not any(b"((((" in line for line in server.commands)


@FORWARD
def test_lines_without_end_I_013(imap, fake_imap):
    server = fake_imap()
    with opened(imap(server)) as client:
        client.send(b"a SEARCH " + b"x" * 1_000_000)
        assert b"BAD" in client.rest(5)
    assert max(map(len, server.commands)) < 65536


@FORWARD
def test_long_responses_I_013(imap, fake_imap):
    """Streamed as they are, whatever their length."""
    long = b"* SEARCH" + b"".join(b" %d" % i for i in range(1, 300_000)) + b"\r\n"
    flags = b"* FLAGS (" + b" ".join(b"k%d" % i for i in range(20_000)) + b")\r\n"
    gate = imap(fake_imap(replies={"SEARCH": long + b"<tag> OK\r\n", "NOOP": flags + b"<tag> OK\r\n"}))
    with opened(gate).select() as client:
        since = gate.memory()
        assert client.did("SEARCH ALL") == long
        assert client.did("NOOP") == flags
        assert gate.grew(since) < 1 << 20


@FORWARD
def test_many_commands_at_once_I_015_I2(imap, mailbox_server):
    account = mailbox_server.account(mails.TAME)
    with opened(imap(mailbox_server), account).select() as client:
        n = 300
        client.send("".join(f"p{i} UID FETCH 1:* (UID FLAGS)\r\n" for i in range(n)))
        assert all(client.tagged(f"p{i}", 20).ok for i in range(n))
        client.logout()


@pytest.mark.parametrize("line", [b'a CREATE "a\r\nb DELETE all"\r\n', b"a CREATE x\n", b"a CREATE x\ry\r\n",
                                  b"a CREATE x\0y\r\n"])
@FORWARD
def test_what_two_would_read_in_two_ways_I_026(imap, fake_imap, line):
    server = fake_imap()
    with opened(imap(server)) as client:
        client.send(line)
        assert client.line().split(b" ")[1] == b"BAD"
    assert not any(b"CREATE" in c or b"DELETE" in c for c in server.commands)


@pytest.mark.parametrize("name", ["&ZeVnLIqe-", "../../etc/passwd", "%n%s", "a&-b", '"with blank"'])
@FORWARD
def test_names_of_mailboxes_I_026(imap, fake_imap, name):
    server = fake_imap()
    gate = imap(server)
    with opened(gate) as client:
        client.did(f"SELECT {name}")
        client.logout()
    assert server.commands[1].split(b" ", 2)[2] == name.encode() + b"\r\n"
    assert session_record(gate)["mailboxes"] == [name.strip('"')]


# ---- capabilities ----

HIDDEN = ("COMPRESS=DEFLATE", "STARTTLS")
OFFERED = "IMAP4rev1 LITERAL+ COMPRESS=DEFLATE STARTTLS IDLE AUTH=PLAIN"


@FORWARD
def test_COMPRESS_is_taken_out_everywhere_I_016_I4_I5(imap, fake_imap):
    server = fake_imap(capabilities=OFFERED, replies={
        "NOOP": f"* OK [CAPABILITY {OFFERED}] changed\r\n<tag> OK [CAPABILITY {OFFERED}] done\r\n".encode(),
        "ENABLE": f"* CAPABILITY {OFFERED}\r\n* ENABLED\r\n<tag> OK done\r\n".encode()})
    with imap(server).client() as client:
        said = [client.greeting(), client.cmd("CAPABILITY"), client.cmd("LOGIN anna x"), client.cmd("NOOP"),
                client.cmd("ENABLE CONDSTORE")]
        octets = b"".join(s if isinstance(s, bytes) else s.before + s.octets for s in said)
        assert octets.count(b"CAPABILITY IMAP4rev1 LITERAL+ IDLE AUTH=PLAIN") == 6, octets
        assert not any(hidden.encode() in octets for hidden in HIDDEN)
        assert client.cmd("COMPRESS DEFLATE").status == "NO"
        client.send("x COMPRESS DEFLATE\r\ny NOOP\r\n")  # I-018
        assert client.tagged("x").status == "NO"
        assert client.tagged("y").ok
    assert not any(b"COMPRESS" in line for line in server.commands)


def test_COMPRESS_of_real_servers_I_016(imap, mailbox_server):
    account = mailbox_server.account()
    assert b"COMPRESS=DEFLATE" in account.imap().capability()[1][0]
    with opened(imap(mailbox_server), account) as client:
        assert b"COMPRESS" not in client.did("CAPABILITY")
        assert client.cmd("COMPRESS DEFLATE").status == "NO"
        client.logout()


@FORWARD
def test_nothing_is_added_I4(imap, fake_imap):
    with imap(fake_imap(capabilities="IMAP4rev1")).client() as client:
        assert b"[CAPABILITY IMAP4rev1]" in client.greeting()
        assert client.did("CAPABILITY") == b"* CAPABILITY IMAP4rev1\r\n"


@FORWARD
def test_capabilities_by_state_I_029(imap, fake_imap):
    """What was offered before a login is not offered behind it."""
    server = fake_imap(capabilities="IMAP4rev1", replies={
        "GREETING": b"* OK [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n"})
    with opened(imap(server)) as client:
        client.send("a CREATE {5+}\r\nhello\r\n")
        assert b"a BAD" in client.rest(5)


def test_LOGINDISABLED_I_023_I4(imap, fake_imap):
    server = fake_imap(capabilities="IMAP4rev1 LOGINDISABLED STARTTLS")
    with imap(server).client() as client:
        client.greeting()
        said = client.cmd("LOGIN anna secret-in-clear")
        assert said.text.split()[1:3] == ["NO", "[PRIVACYREQUIRED]"]
    assert not any(b"LOGIN" in line for line in server.ended().commands)


@FORWARD
def test_PREAUTH_I6(imap, fake_imap):
    server = fake_imap([mails.plain()], replies={"GREETING": b"* PREAUTH [CAPABILITY IMAP4rev1] in\r\n"})
    gate = imap(server)
    with gate.client() as client:
        assert client.greeting().startswith(b"* PREAUTH")
        client.select()
        assert client.fetch(1, "BODY[]") == [mails.plain()]
        client.logout()
    assert session_record(gate)["preauth"] is True


# ---- login ----


@pytest.mark.parametrize("initial", [True, False])
def test_AUTHENTICATE_I_021(imap, mailbox_server, initial):
    account = mailbox_server.account()
    gate = imap(mailbox_server)
    text = base64.b64encode(f"\0{account.user}\0{PASSWORD}".encode()).decode()
    with gate.client() as client:
        client.greeting()
        assert client.cmd("AUTHENTICATE PLAIN").tag == "+"
        client.send("*\r\n")
        assert client.reply().status in ("BAD", "NO")
        if initial:
            assert client.cmd("AUTHENTICATE PLAIN " + text).ok
        else:
            assert client.cmd("AUTHENTICATE PLAIN").tag == "+"
            client.send(text + "\r\n")
            assert client.reply().ok
        client.logout()
    record = session_record(gate)
    assert (record["mechanism"], record["user"], record["logged_in"]) == ("PLAIN", account.user, True)
    assert text not in gate.log.read_text()


@FORWARD
def test_invalid_base64_hurts_nobody_else_I_028(imap, dovecot):
    account = dovecot.account()
    gate = imap(dovecot)
    with opened(gate, account) as other, gate.client() as client:
        client.greeting()
        assert client.cmd("AUTHENTICATE PLAIN").tag == "+"
        client.send("\xff\xfe!!! not base64 ===\r\n".encode("latin-1"))
        assert client.reply().status in ("BAD", "NO")
        assert other.cmd("NOOP").ok


@FORWARD
def test_ID_I10(imap, fake_imap):
    gate = imap(fake_imap(replies={"ID": b'* ID ("name" "fake" "version" "1")\r\n<tag> OK\r\n'}))
    with opened(gate) as client:
        client.did('ID ("name" "tester" "version" "7")')
        client.logout()
    record = session_record(gate)
    assert "tester" in record["client_id"] and "fake" in record["server_id"]


# ---- IDLE ----


def test_IDLE_I_019_I_020_I9(imap, mailbox_server):
    account = mailbox_server.account()
    gate = imap(mailbox_server)
    with opened(gate, account).select() as client:
        client.send("i IDLE\r\n")
        assert client.tagged("i").tag == "+"
        account.put([mails.plain()])
        while b"EXISTS" not in response(client, 10):
            pass
        client.send("DO")
        time.sleep(0.05)
        client.send("NE\r\n")
        assert client.tagged("i").ok
        client.logout()
    assert session_record(gate)["idle_ms"] > 0


@FORWARD
def test_other_octets_in_IDLE_I_020(imap, fake_imap):
    server = fake_imap()
    with opened(imap(server)).select() as client:
        client.send("i IDLE\r\n")
        assert client.tagged("i").tag == "+"
        client.send("x NOOP\r\n")
        said = client.rest(3)
        assert b"BAD" in said, said
    assert not any(b"NOOP" in line for line in server.commands)


@FORWARD
def test_IDLE_is_kept_for_half_an_hour_I_019(imap, fake_imap):
    gate = imap(fake_imap())
    gate.configure(imap={"timeouts": {"command": 1799}})
    done = gate.namespace.run(gate.binary, "check", "-c", gate.file)
    assert done.returncode != 0 and "imap.timeouts.command" in done.stderr, done
    gate.configure(imap={"timeouts": {"idle": 1799}})
    done = gate.namespace.run(gate.binary, "check", "-c", gate.file)
    assert done.returncode != 0 and "imap.timeouts.idle" in done.stderr, done


# ---- peers that go away ----


@pytest.mark.parametrize("said", [b"* BYE going down\r\n", b"* 1 FETCH (BODY[] {999999999999}\r\nabc", b"* 1 FE", b""])
def test_a_server_that_goes_away_I_011_I_025(imap, fake_imap, said):
    gate = imap(fake_imap([b"abc"], replies={"FETCH": lambda c, line: c.send(said) or c.close() or b"x"}))
    with opened(gate).select() as client:
        client.send("f FETCH 1 BODY[]\r\n")
        got = client.rest(10)
    assert said.startswith(b"* BYE") <= (b"* BYE" in got)
    assert b"f OK" not in got and b")\r\n" not in got
    assert gate.flow()["flow"]["reason"]


# ---- policy ----


def test_denied_commands_I1(imap, fake_imap):
    server = fake_imap()
    gate = imap(server, imap={"deny": ["SETACL", "UID EXPUNGE"]})
    with opened(gate).select() as client:
        assert client.cmd("SETACL INBOX anna lr").status == "NO"
        assert client.cmd("UID EXPUNGE 1").status == "NO"
        assert client.cmd("EXPUNGE").ok
        client.logout()
    assert not any(b"SETACL" in line or b"UID EXPUNGE" in line for line in server.commands)
    refused = gate.record("imap", lambda r: "SETACL" in r["imap"].get("command", ""))
    assert refused["verdict"]["reason"] == "denied" and refused["imap"]["status"] == "NO"


WRITES = ["STORE 1 +FLAGS (\\Deleted)", "UID STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "COPY 1 Other", "MOVE 1 Other",
          "CREATE Other", "DELETE INBOX", "RENAME INBOX Other", "APPEND INBOX {5}", "SETACL INBOX x lr"]


def test_read_only_I12(imap, mailbox_server):
    account = mailbox_server.account(mails.TAME[:2])
    gate = imap(mailbox_server, imap={"read_only": True})
    with opened(gate, account, timeout=5) as client:
        client.did("EXAMINE INBOX")
        for line in WRITES[:8]:
            assert client.cmd(line).status == "NO", line
        assert client.fetch(1, "BODY.PEEK[]") == mails.TAME[:1]
    assert account.messages() == mails.TAME[:2]


@pytest.mark.parametrize("line", ["XFOO bar", "X-UNKNOWN", "SETQUOTA x"])
@FORWARD
def test_unknown_commands_I_024_I1(imap, fake_imap, line):
    server = fake_imap()
    with opened(imap(server)) as client:
        said = client.cmd(line)
        assert said.status in ("BAD", "NO") or line.startswith("SETQUOTA")
        assert client.cmd("NOOP").ok


@FORWARD
def test_another_protocol(imap, fake_imap):
    server = fake_imap()
    with imap(server).client() as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.rest(5)
    assert server.ended().commands == []


@FORWARD
def test_a_session_of_many_kinds_I11_I2(imap, cyrus):
    """What became of what: one record."""
    account = cyrus.account(mails.TAME[:4])
    gate = imap(cyrus)
    with opened(gate, account) as client:
        client.did('ID ("name" "tester")')
        client.did("CREATE INBOX/Other")
        client.select()
        client.did("ENABLE QRESYNC")
        for line in ("SEARCH ALL", "SORT (SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "STORE 1 +FLAGS (\\Seen)",
                     "COPY 1 INBOX/Other", "UID MOVE 2 INBOX/Other", "NAMESPACE", 'LIST "" "*"',
                     "STATUS INBOX/Other (MESSAGES)", 'LIST (SPECIAL-USE) "" "*" RETURN (CHILDREN)',
                     "GETQUOTAROOT INBOX", "GETACL INBOX", 'GETMETADATA "" (/shared/comment)', "FETCH 1 (FLAGS MODSEQ)",
                     "SELECT INBOX/Other", "UNSELECT", "SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)", "UID EXPUNGE 1:*"):
            said = client.cmd(line)
            assert said.ok, (line, said, said.before)
        client.logout()
    record = session_record(gate)
    assert record["mailboxes"] == ["INBOX", "INBOX/Other"]
    for key in ("stored", "copied", "moved", "expunged", "searched"):
        assert record[key] >= 1, (key, record)


# ---- many ----


@pytest.mark.parametrize("mode", ["tproxy"])
def test_two_hundred_sessions_at_a_time(imap, dovecot):
    accounts = [dovecot.account(mails.TAME) for _ in range(20)]
    gate = imap(dovecot, workers=2, limits={"sessions_per_client": 1000, "pending_connects_per_client": 1000,
                                            "auth_failures_per_minute": 0})
    faults, together = [], threading.Barrier(20)

    def ten(account):
        """Ten sessions, all open while the others are."""
        try:
            clients = [opened(gate, account, timeout=60).select() for _ in range(10)]
            together.wait(60)
            for client in clients:
                assert client.fetch("1:*", "BODY.PEEK[]") == mails.TAME
            together.wait(60)
            for client in clients:
                client.logout()
        except BaseException as fault:
            faults.append(fault)
            together.abort()

    threads = [threading.Thread(target=ten, args=(account,)) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[:3]
    wait_for(lambda: len(gate.records("flow")) == 200, 20, "200 records")
    assert len(gate.records("email")) == 200 * len(mails.TAME)
