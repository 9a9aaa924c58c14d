"""How many instructions the parsers need for a dialogue, a segment, a message: of two runs, one longer than
the other, the difference, so that what is done once is not in it."""

import base64
import pathlib
import random

import pytest

import count

PARSERS = pathlib.Path(__file__).resolve().parents[2] / "build/counted/parsers"
FEW, MANY = 5, 20
HEAD = (b"Received: from a.good.example by b.good.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        b"From: Anna <anna@good.example>\r\nTo: otto@campus.example, Emma <emma@campus.example>\r\n"
        b"Subject: =?utf-8?q?gr=C3=BCne_=C3=84pfel?=\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        b"Message-ID: <1@good.example>\r\nMIME-Version: 1.0\r\n")
LINE = b"The quick report about our apples was sent to everybody who had asked for it.\r\n"


def parts(kind, *bodies):
    return HEAD + b"Content-Type: multipart/" + kind + b'; boundary="b1"\r\n\r\n' + b"".join(
        b"--b1\r\n" + body for body in bodies) + b"--b1--\r\n"


def attachment(octets):
    return (b'Content-Type: application/octet-stream; name="a.bin"\r\nContent-Transfer-Encoding: base64\r\n'
            b'Content-Disposition: attachment; filename="a.bin"\r\n\r\n'
            + base64.encodebytes(octets).replace(b"\n", b"\r\n"))


TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
HTML = (b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><body>\r\n"
        + b'<p style=3D"color:#333">' + LINE + b'see <a href=3D"http://apples.example/report?n=3D1">here</a></p>\r\n')
MESSAGES = {
    "text": HEAD + TEXT + 500 * LINE,
    "attachment": parts(b"mixed", TEXT + LINE, attachment(random.Random(7).randbytes(60_000))),
    "html": parts(b"alternative", TEXT + 200 * LINE, HTML + 200 * HTML[HTML.index(b"<p"):] + b"</body></html>\r\n"),
}

# what: (what is found in one, instructions for one)
DIALOGUES = {
    "smtp": ("15", 34_500),
    "pop3": ("18", 26_600),
    "imap": ("20", 55_000),
    "ftp": ("16", 27_000),
    "segments": ("1448", 1_120),
}
# (what, message): the same; "all" has libmagic's in it
PARSED = {
    ("tree", "text"): ("1 39500", 132_000),
    ("tree", "attachment"): ("3 60077", 315_000),
    ("tree", "html"): ("3 48388", 425_000),
    ("all", "text"): ("1 39500", 155_000),
    ("all", "attachment"): ("3 60077", 358_000),
    ("all", "html"): ("3 48388", 2_420_000),
}


def hold(expected, argv, folder):
    found, bound = expected
    few, said = count.instructions([PARSERS, *argv, FEW], folder)
    many, _ = count.instructions([PARSERS, *argv, MANY], folder)
    assert " ".join(said) == found, f"{said}: it is not what was to be parsed"
    count.within((many - few) / (MANY - FEW), bound, f"instructions of {' '.join(map(str, argv))}",
                 f"valgrind --tool=callgrind build/counted/parsers {' '.join(map(str, argv))} {MANY}; "
                 "callgrind_annotate, before and after")


@pytest.mark.parametrize("what", DIALOGUES)
def test_a_dialogue_and_a_segment_cost_what_they_did(what, tmp_path):
    hold(DIALOGUES[what], [what], tmp_path)


@pytest.mark.parametrize("what, message", PARSED)
def test_a_message_costs_what_it_did(what, message, tmp_path):
    file = tmp_path / f"{message}.eml"
    file.write_bytes(MESSAGES[message])
    hold(PARSED[what, message], [what, file], tmp_path)
