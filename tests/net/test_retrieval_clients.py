"""
Real clients of POP3 and IMAP before the gateway, real servers behind it: what arrives is what the
server holds. FIELD rows O1 to O3, I1 to I4; in every mode, by IPv4 and IPv6.
"""

import pytest

import lab as L
import mails
from mail_clients import ALL, LOGINS, differing, program_name

MODES = ["tproxy", "redirect", "forward"]


def target(gate, server, v6):
    if gate.transparent:
        return server.address6 if v6 else server.address
    return L.GATEWAY6 if v6 else L.GATEWAY


def fetch(lab, gateway, server, program, folder, v6=False):
    account = server.account(mails.TAME)
    gate = gateway(server, protocol=program.protocol)
    got, told = program.fetch(lab.client, target(gate, server, v6), account, folder, len(mails.TAME))
    assert not differing(got, map(program.stored, account.messages())), told
    return gate, account


@pytest.mark.parametrize("program", ALL, ids=program_name)
def test_each_client_at_each_server_O1_I1(lab, gateway, mailbox_server, client_folder, program):
    """Nobody is configured for the gateway; one record for each message that was fetched."""
    gate, account = fetch(lab, gateway, mailbox_server, program, client_folder)
    gate.flow()
    got = [r for r in gate.records("email") if not r["email"].get("partial")]
    assert len(got) >= len(mails.TAME)


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("name,program", LOGINS, ids=program_name)
def test_each_login_at_each_server_O2(lab, gateway, mail_server, client_folder, name, program):
    gate, account = fetch(lab, gateway, mail_server(name), program, client_folder)
    record = gate.record(program.protocol, lambda r: r[program.protocol].get("user") == account.user)
    assert record
    assert account.password not in gate.log.read_text()


@pytest.mark.parametrize("program", [p for p in ALL if p.name in
                                     ("curl-pop3", "curl-imap", "poplib-pop3", "imaplib-imap", "mbsync-imap")],
                         ids=program_name)
def test_by_IPv6(lab, gateway, mailbox_server, client_folder, program):
    fetch(lab, gateway, mailbox_server, program, client_folder, v6=True)
