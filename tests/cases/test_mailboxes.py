"""
Mailboxes of thousands of messages that others made, at real servers, and imaptest's dialogues: through
the gateway everything is as without it. FIELD rows O6, I7; SECURITY cases I-008, I-030.

imaptest itself is no Debian package. Its scripts are run here by what is said in them, once straight to
the server and once through the gateway, and both must come to the same.
"""

import collections
import json
import pathlib
import re
import subprocess
import tempfile

import pytest

import lab as L
import servers
from conftest import GATEWAYS, cases_folder
from gateway import Gateway
from mail_clients import (Curl, Fetchmail, Imaplib, Mbsync, Mutt, Offlineimap, differing,
                          program_name)
from mail_servers import Cyrus, Dovecot, crlf
from peers import Closed
from retrieval_peers import ImapClient

FILES = sorted(p for p in (cases_folder() / "mime").rglob("*") if p.is_file())
DIALOGUES = cases_folder() / "dialogues/imaptest"
SCRIPTS = sorted(p.name for p in DIALOGUES.iterdir() if p.is_file() and "." not in p.name and p.name != "INDEX")
BINARY = pathlib.Path(GATEWAYS[0]).resolve()
AGAIN = b"X-Again: the same with one line more\n"
# Programs; getmail gives up after some hundred messages, without a gateway too.
PROGRAMS = [Curl("pop3"), Curl("imap"), Fetchmail("imap"), Fetchmail("pop3"), Mbsync("imap"), Offlineimap("imap"),
            Mutt("imap"), Imaplib("imap")]
FAST = ("imaplib-imap", "mbsync-imap", "curl-imap")


@pytest.fixture(scope="module")
def network():
    with L.Lab() as one:
        servers.Dns(one)
        yield one


@pytest.fixture(scope="module")
def dovecot(network):
    return Dovecot(network)


@pytest.fixture(scope="module")
def cyrus(network):
    return Cyrus(network)


@pytest.fixture(scope="module")
def thousands(dovecot):
    """An account whose mailbox holds every file twice, as it is and with a line before it."""
    contents = [path.read_bytes() for path in FILES]
    account = dovecot.account(contents + [AGAIN + octets for octets in contents])
    return account, account.messages()


@pytest.fixture
def gate(network):
    made = []

    def make(server, protocol, **options):
        made.append(Gateway(network, server.address, protocol=protocol, binary=BINARY, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def said_of_files(messages):
    """What postern mime says of each, as files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, octets in enumerate(messages):
            path = pathlib.Path(folder) / f"{i:05}.eml"
            path.write_bytes(octets)
            paths.append(path)
        done = subprocess.run([BINARY, "mime", "--json", *paths], capture_output=True, check=True)
    found = collections.defaultdict(list)
    for line in done.stdout.decode().splitlines():
        record = json.loads(line)
        found[int(pathlib.Path(record["file"]).stem)].append(record["email"])
    return found


def test_thousands_by_IMAP_I7(gate, thousands):
    account, held = thousands
    assert len(held) == 2 * len(FILES) > 3000
    g = gate(dovecot_of(account), "imap")
    with g.client(timeout=60) as client:
        client.login(account.user, account.password).select()
        client.did("FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE)", 120)
        got = client.fetch("1:*", "(UID BODY.PEEK[])", timeout=120)
        client.logout()
    assert len(got) == len(held)
    assert [i for i, (a, b) in enumerate(zip(got, held)) if a != b] == []
    g.flow()
    records = {r["message"]["number"]: r for r in g.records("email")}
    assert len(records) == len(held)
    assert {r["message"]["outcome"] for r in records.values()} == {"complete"}
    files = said_of_files(held)
    for i, octets in enumerate(held):
        if octets.startswith(b"From ") or len(files[i]) != 1:
            continue  # as a file it is an mbox
        ours, theirs = records[i + 1]["email"], files[i][0]
        n = len(ours["parts"])  # a record has the first ones
        assert n >= min(100, len(theirs["parts"])) and [p.get("sha256") for p in ours["parts"]] == [
            p.get("sha256") for p in theirs["parts"][:n]], i


def dovecot_of(account):
    return account.server


def test_thousands_by_POP3_O6(gate, thousands):
    account, held = thousands
    g = gate(dovecot_of(account), "pop3")
    with g.client(timeout=60) as client:
        client.login(account.user, account.password)
        n = len(client.lines("UIDL"))
        assert n == len(held)
        for first in range(1, n + 1, 500):
            numbers = range(first, min(first + 500, n + 1))
            client.send("".join(f"RETR {i}\r\n" for i in numbers))
            for i in numbers:
                assert client.reply(60).ok
                got, want = client.content(60), held[i - 1]
                # POP3 has no message without a line end, and Dovecot no NUL here
                assert got.rstrip(b"\r\n") == want.rstrip(b"\r\n") or b"\x80" in want or b"\0" in got, i
        client.quit()
    g.flow()
    assert len(g.records("email")) == len(held)


def comparable(octets):
    """
    Without what fetchmail adds: the server's address before a message that has no header, and whatever
    lies in its memory behind the NUL at which it cuts a line that is too long for it: any octet, also
    a line's end.
    """
    return re.sub(rb"\0.", b"", octets.replace(L.GATEWAY.encode(), L.DOVECOT.encode()), flags=re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=program_name)
def test_thousands_by_each_program_I7_O6(network, gate, dovecot, program):
    """What it has of every file through the gateway is what it has without."""
    files = FILES if program.name in FAST else FILES[::4]
    account = dovecot.account([path.read_bytes() for path in files])
    got = {}
    g = gate(dovecot, program.protocol)
    for way, address in (("direct", dovecot.address), ("gateway", L.GATEWAY)):
        folder = pathlib.Path(tempfile.mkdtemp(dir=network.dir, prefix="program-"))
        folder.chmod(0o755)
        got[way], told = program.fetch(network.client, address, account, folder, len(files))
        assert got[way], told[-2000:]
    assert not differing(*(map(comparable, got[way]) for way in ("gateway", "direct")))
    assert len(got["direct"]) > len(files) * 0.7  # of what is no mail some fetch nothing


def test_what_is_stored_is_what_was_sent_I8(gate, cyrus):
    """Hundreds by APPEND; what the server does not want it refuses itself."""
    account = cyrus.account()
    g = gate(cyrus, "imap")
    taken = []
    with g.client(timeout=60) as client:
        client.login(account.user, account.password)
        for path in FILES[::3]:
            octets = crlf(path.read_bytes())
            said = client.append(octets, plus=True)
            assert said.status in ("OK", "NO"), said
            taken += [octets] if said.ok else []
        client.logout()
    assert len(taken) > 300
    held = account.messages()
    assert [i for i, (a, b) in enumerate(zip(held, taken)) if a != b] == []
    assert len(held) == len(taken)
    outcomes = collections.Counter(r["message"]["outcome"] for r in g.records("email"))
    assert outcomes["complete"] == len(taken)


# ---- imaptest's scripts ----

VARIABLE = re.compile(rb"(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ|MODSEQ|APPENDUID|COPYUID|MAILBOXID|EMAILID|THREADID|NOMODSEQ)"
                      rb"[ (]+[-\w. :,]+|INTERNALDATE \"[^\"]*\"|\d+\.\d+ \+ \d+\.\d+|\d+ secs|<cyrus-[^>]*>|"
                      rb"SESSIONID=<[^>]*>|BODY\[\]<\d+>|TAG \"\w+\"|[\w.-]+INTERNAL:[\w]+", re.IGNORECASE)


def commands_of(script):
    """
    (connection, command) of the lines that its clients say, with "{{{ ... }}}" as one literal each:
    imaptest has a command as "ok fetch 1 flags", "2 ok noop" or "tag1 fetch ...", and what should come as
    "* ..." or "tag1 ok".
    """
    text = (DIALOGUES / script).read_bytes().decode("latin-1")
    whole = re.sub(r"\{\{\{\r?\n(.*?)\n?\}\}\}", lambda m: "\ue000" + m.group(1).replace("\n", "\ue001") + "\ue001\ue000", text,
                   flags=re.DOTALL)
    for line in whole.split("\n"):
        words = re.match(r'(?:(\d+) )?(ok|no|bad|""|tag\d+)\s+(\w+.*)$', line)
        if not words or words.group(3).split()[0].lower() in ("ok", "no", "bad"):
            continue
        command = words.group(3).replace("$$", "\ue002")
        for name in ("${mailbox}", "$mailbox"):
            command = command.replace(name, "INBOX/test")
        if "$" not in command and command.split()[0].lower() not in ("idle", "logout"):
            literal = re.sub("\ue000([^\ue000]*)\ue000", as_literal, command)
            yield int(words.group(1) or 1), literal.replace("\ue002", "$").encode("latin-1")


def as_literal(match):
    text = match.group(1).replace("\ue001", "\r\n")
    return "{%d+}\r\n%s" % (len(text), text)


def messages_of(script):
    box = DIALOGUES / f"{script}.mbox"
    text = (box if box.exists() else DIALOGUES / "default.mbox").read_bytes()
    return [crlf(m) for m in re.split(rb"(?m)^From .*\n", text)[1:]][:20]


def transcript(network, address, account, script):
    """Everything that the server says to a script's commands, but for what differs by mailbox and time."""
    said, clients = [], {}
    first = account.put(messages_of(script), "INBOX/test")

    def client_of(number):
        if number not in clients:
            clients[number] = ImapClient(network.client, address, timeout=10)
            clients[number].login(first.user, first.password)
            clients[number].cmd("SELECT INBOX/test")
        return clients[number]

    for number, command in commands_of(script):
        said.append(command)
        try:
            answer = client_of(number).cmd(command)
        except Closed:
            return said + [b"closed"]
        lines = sorted(VARIABLE.sub(b"...", answer.before).splitlines())
        text = re.sub(rb"\(.*|a\d+ ", b"", VARIABLE.sub(b"...", answer.octets))
        said.append((lines, text if answer.ok else answer.status))
    for client in clients.values():
        client.close()
    return said


def without_user(value):
    return re.sub(r"user\d+|a\d+", "x", repr(value))


def transcripts(network, cyrus, script):
    """
    Of the server asked directly, asked again, and through the gateway. Where another one renames its mailbox
    Cyrus ends a session two times out of three: such a script is played until it ends alike in all three.
    """
    for _ in range(20):
        said = [list(map(without_user, transcript(network, address, cyrus.account(), script)))
                for address in (cyrus.address, cyrus.address, L.GATEWAY)]
        if len(set(map(len, said))) == 1:
            break
    return said


@pytest.mark.parametrize("script", [name for name in SCRIPTS if list(commands_of(name))])
def test_imaptest_says_the_same_I_030(network, gate, cyrus, script):
    g = gate(cyrus, "imap", imap={"errors": 1000})
    direct, again, through = transcripts(network, cyrus, script)
    # what the server itself does not say twice is nothing to compare
    same = [i for i, (a, b) in enumerate(zip(direct, again)) if a == b]
    assert len(same) > len(direct) // 2
    assert [through[i] for i in same] == [direct[i] for i in same]
    assert g.supervisor().alive()
