"""Whole sessions of each protocol as TCP connections, for captures."""

import base64
import hashlib
import random
import re

from packets import Talk

FILE = random.Random(7).randbytes(20_000)
FILE_SHA256 = hashlib.sha256(FILE).hexdigest()
BODY = base64.encodebytes(FILE).replace(b"\n", b"\r\n")


def message(subject="hello", body=BODY):
    return (b"From: Anna <anna@good.example>\r\nTo: otto@campus.example\r\nSubject: " + subject.encode() +
            b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee it\r\n--b\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=file.bin\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + body + b"--b--\r\n")


V4 = {"client": "198.51.100.2", "server": "192.0.2.25"}
V6 = {"client": "2001:db8:100::2", "server": "2001:db8:25::25"}


def talk(hosts, sport, dport, **options):
    return Talk((hosts["client"], sport), (hosts["server"], dport), **options)


def mail(hosts=V4, port=25, sport=40001, subject="hello", text=None, **options):
    text = message(subject) if text is None else text
    t = talk(hosts, sport, port, **options)
    t.s(b"220 mx.campus.example ESMTP\r\n").c(b"EHLO client.good.example\r\n")
    t.s(b"250-mx.campus.example\r\n250-PIPELINING\r\n250 SIZE 10000000\r\n")
    t.c(b"MAIL FROM:<anna@good.example>\r\n").s(b"250 2.1.0 Ok\r\n")
    t.c(b"RCPT TO:<otto@campus.example>\r\n").s(b"250 2.1.5 Ok\r\n")
    t.c(b"DATA\r\n").s(b"354 go on\r\n")
    t.c(re.sub(rb"(^|\r\n)\.", rb"\1..", text) + b".\r\n").s(b"250 2.0.0 Ok: queued as X1\r\n")
    return t.c(b"QUIT\r\n").s(b"221 2.0.0 Bye\r\n").end()


def pop3(hosts=V4, port=110, sport=40002, text=None, **options):
    t = talk(hosts, sport, port, **options)
    t.s(b"+OK ready\r\n").c(b"USER anna\r\n").s(b"+OK\r\n").c(b"PASS secret\r\n").s(b"+OK in\r\n")
    text = message("by pop3") if text is None else text
    t.c(b"RETR 1\r\n").s(b"+OK %d octets\r\n" % len(text)).s(text + b".\r\n")
    return t.c(b"QUIT\r\n").s(b"+OK bye\r\n").end()


def imap(hosts=V4, port=143, sport=40003, text=None, **options):
    t = talk(hosts, sport, port, **options)
    t.s(b"* OK [CAPABILITY IMAP4rev1] ready\r\n").c(b"a LOGIN anna secret\r\n").s(b"a OK in\r\n")
    t.c(b"b SELECT INBOX\r\n").s(b"* 1 EXISTS\r\nb OK [READ-WRITE] done\r\n")
    text = message("by imap") if text is None else text
    t.c(b"c FETCH 1 BODY.PEEK[]\r\n").s(b"* 1 FETCH (BODY[] {%d}\r\n" % len(text) + text + b")\r\nc OK done\r\n")
    return t.c(b"d LOGOUT\r\n").s(b"* BYE\r\nd OK bye\r\n").end()


def ftp(hosts=V4, port=21, sport=40004, way="EPSV", name="file.bin", content=FILE, upload=False, data_port=50001,
        told=None, **options):
    """
    Control and data connection, the latter in its place: packets of both in one list.

    told   the address that a 227 or a PORT names, where it is not the host's own
    """
    t = talk(hosts, sport, port, **options)
    t.s(b"220 files\r\n").c(b"USER anna\r\n").s(b"331 go on\r\n").c(b"PASS secret\r\n").s(b"230 in\r\n")
    t.c(b"TYPE I\r\n").s(b"200 ok\r\n")
    active = way in ("PORT", "EPRT")
    address = told or hosts["client" if active else "server"]
    numbers = ",".join([*address.split("."), str(data_port >> 8), str(data_port & 255)]).encode()
    family = 2 if ":" in address else 1
    if way == "PORT":
        t.c(b"PORT " + numbers + b"\r\n").s(b"200 ok\r\n")
    elif way == "EPRT":
        t.c(f"EPRT |{family}|{address}|{data_port}|\r\n".encode()).s(b"200 ok\r\n")
    elif way == "PASV":
        t.c(b"PASV\r\n").s(b"227 Entering Passive Mode (" + numbers + b")\r\n")
    else:
        t.c(b"EPSV\r\n").s(f"229 Extended Passive Mode (|||{data_port}|)\r\n".encode())
    t.c((b"STOR " if upload else b"RETR ") + name.encode() + b"\r\n").s(b"150 here it comes\r\n")
    client, server = hosts["client"], hosts["server"]
    data = Talk((server, 20), (client, data_port), **options) if active else \
        Talk((client, sport + 1000), (server, data_port), **options)
    sender_is_client = upload != active  # of the data connection
    data.say(sender_is_client, content)
    data.segment(sender_is_client, 0x11).segment(not sender_is_client, 0x11)
    t.packets += data.packets
    t.s(b"226 done\r\n")
    return t.c(b"QUIT\r\n").s(b"221 bye\r\n").end()


ALL = {"smtp": mail, "pop3": pop3, "imap": imap, "ftp": ftp}
