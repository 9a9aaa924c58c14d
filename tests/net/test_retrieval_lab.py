"""
The laboratory of POP3 and IMAP without any gateway: servers hold what they were given, and every
client fetches all of it.
"""

import pytest

import mails
from mail_clients import ALL, LOGINS, differing, program_name
from mail_servers import crlf


def fetch(lab, server, program, folder, n=len(mails.TAME), v6=False):
    account = server.account(mails.TAME)
    address = server.address6 if v6 else server.address
    got, told = program.fetch(lab.client, address, account, folder, n)
    assert not differing(got, map(program.stored, account.messages())), told


def test_servers_hold_what_they_were_given(mailbox_server):
    account = mailbox_server.account(mails.TAME)
    assert account.messages() == mails.TAME


def test_a_server_holds_messages_of_every_shape(dovecot):
    account = dovecot.account(mails.WILD)
    assert account.messages() == [crlf(m) for m in mails.WILD]


@pytest.mark.parametrize("program", ALL, ids=program_name)
def test_every_client_without_a_gateway(lab, mailbox_server, client_folder, program):
    fetch(lab, mailbox_server, program, client_folder)


@pytest.mark.parametrize("name,program", LOGINS, ids=program_name)
def test_every_login_without_a_gateway(lab, mail_server, client_folder, name, program):
    fetch(lab, mail_server(name), program, client_folder)
