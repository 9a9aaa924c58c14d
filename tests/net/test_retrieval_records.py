"""
One record says the same of a message whichever way it came: by SMTP, POP3, FETCH in one piece or in
slices, APPEND. FIELD rows O6, O9, I7, I8, I11.
"""

import pytest

import mails
from gateway import Gateway
from lab import wait_for

MESSAGES = {"plain": mails.plain(), "dots": mails.plain("dots", mails.DOTS), "file": mails.with_file(),
            "nested": mails.nested(), "archive": mails.with_file(name="a.rar", payload=mails.rar()),
            "program": mails.program(), "large": mails.large(200_000)}


@pytest.fixture
def ways(lab, dns, dovecot):
    """ways(message): {way: the object "email" of its record}, each way with a gateway of its own."""
    made = []

    def gate(protocol, to):
        made.append(Gateway(lab, to, protocol=protocol))
        return made[-1]

    def by_pop3(account, message):
        with gate("pop3", dovecot.address).client() as client:
            client.login(account.user, account.password)
            assert client.retr(1) == message
            client.quit()

    def by_imap(fetch):
        def run(account, message):
            with gate("imap", dovecot.address).client() as client:
                client.login(account.user, account.password).select()
                assert b"".join(fetch(client, len(message))) == message
                client.logout()

        return run

    def by_append(account, message):
        with gate("imap", dovecot.address).client() as client:
            assert client.login(account.user, account.password).append(message).ok
            client.logout()

    def sliced(client, n):
        return [client.fetch(1, f"(UID BODY.PEEK[]<{at}.1000>)")[0] for at in range(0, n, 1000)]

    table = {"RETR": by_pop3, "FETCH": by_imap(lambda c, n: c.fetch(1, "(UID BODY.PEEK[])")),
             "RFC822": by_imap(lambda c, n: c.fetch(1, "RFC822")), "slices": by_imap(sliced),
             "APPEND": by_append}

    def run(message):
        account = dovecot.account([message])
        for way, work in table.items():
            work(account, message)
            yield way, made[-1].record("email")["email"]
            made.pop().stop()

    yield run
    for one in made:
        one.stop()


def by_smtp(gateway, fake, message):
    gate = gateway(fake())
    with gate.client() as client:
        client.hello()
        client.envelope()
        wire = message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        assert client.data(wire).code == 250
    return gate.record("smtp", lambda r: "email" in r)["email"]


@pytest.mark.parametrize("name", MESSAGES)
def test_the_same_record_by_every_way_O6_I7_I8(gateway, fake, ways, name):
    expected = by_smtp(gateway, fake, MESSAGES[name])
    for way, email in ways(MESSAGES[name]):
        assert email == expected, way


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_one_message_one_record_and_its_files(gateway, dovecot, protocol):
    account = dovecot.account([mails.with_file()])
    gate = gateway(dovecot, protocol=protocol)
    with gate.client() as client:
        client.login(account.user, account.password)
        if protocol == "pop3":
            client.retr(1)
            client.quit()
        else:
            client.select().fetch(1, "(UID BODY.PEEK[])")
            client.logout()
    gate.flow()
    email, = gate.records("email")
    file, = gate.records("fileinfo")
    assert email["message"]["user"] == account.user
    assert email["message"]["number"] == 1
    assert email["message"]["octets"] == len(mails.with_file())
    assert file["fileinfo"]["filename"] == "prices.csv"
    assert file["message"]["command"] == email["message"]["command"]
    assert file["tx_id"] == email["tx_id"] and file["flow_id"] == email["flow_id"]
    if protocol == "imap":
        assert email["message"]["mailbox"] == "INBOX" and email["message"]["uid"] == 1


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_no_secret_in_any_record(gateway, dovecot, protocol):
    """Neither of a login that works nor of one that does not."""
    account = dovecot.account()
    gate = gateway(dovecot, protocol=protocol)
    for password in (account.password, "not-the-secret"):
        with gate.client() as client:
            if protocol == "pop3":
                client.reply()
                client.cmd(f"USER {account.user}")
                client.cmd(f"PASS {password}")
                client.cmd("QUIT")
            else:
                client.greeting()
                client.cmd(f"LOGIN {account.user} {password}")
                client.cmd("LOGOUT")
    wait_for(lambda: len(gate.records("flow")) == 2, 5, "two records")
    assert account.user in gate.log.read_text()
    assert account.password not in gate.log.read_text()
    assert "not-the-secret" not in gate.log.read_text()
    said = [r[protocol]["status"] for r in gate.records(protocol) if "session" not in r[protocol]]
    assert said[:1] == ["OK"] and said[1:] in (["NO"], ["ERR"])


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_a_session_whose_gateway_dies_has_a_record(gateway, dovecot, protocol):
    account = dovecot.account()
    gate = gateway(dovecot, protocol=protocol)
    with gate.client() as client:
        client.login(account.user, account.password)
        gate.kill_worker()
        client.rest(5)
    assert gate.record("stats", lambda r: "sessions_lost" in str(r) or "worker" in str(r), 10)
