"""postern read --extract: contents as files, of each protocol, and nothing that should not be there."""

import hashlib
import os

import pytest

import packets as P
import talks
from talks import FILE, FILE_SHA256

HOSTILE = b"../../../tmp/x", b"/etc/passwd", b"..", b"a\\..\\b", b"x.eml", b"%2e%2e%2fx", b"\xff\xfex"


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def of_message(text, *parts):
    """What a message leaves behind."""
    return {sha256(text) + ".eml": text, **{sha256(part): part for part in parts}}


def of_talks(*some):
    return P.pcap([frame for talk in some for frame in P.frames_of(talk)])


@pytest.mark.parametrize("protocol", ["smtp", "pop3", "imap"])
def test_messages(read, tmp_path, protocol):
    said = read("--extract", tmp_path / "out", of_talks(talks.ALL[protocol]()))
    text = talks.message({"smtp": "hello"}.get(protocol, f"by {protocol}"))
    assert files(tmp_path / "out") == of_message(text, b"see it", FILE)
    assert [r["fileinfo"]["stored"] for r in said.of("fileinfo")] == [True]
    assert said.messages == []


def test_file_of_ftp(read, tmp_path):
    read("--extract", tmp_path / "out", of_talks(talks.ftp()))
    assert files(tmp_path / "out") == {FILE_SHA256: FILE}


def test_the_same_content_by_all_of_them(read, tmp_path):
    """Into one directory, and once more: each is there once."""
    capture = read.file(of_talks(*(make() for make in talks.ALL.values())))
    first = read("--extract", tmp_path / "out", capture)
    names = files(tmp_path / "out")
    assert len(names) == 3 + 2  # three messages; the file, and the text beside it
    again = read("--extract", tmp_path / "out", capture)
    assert files(tmp_path / "out") == names
    assert [r["fileinfo"]["stored"] for r in first.of("fileinfo")] == [True] * 4
    assert [r["fileinfo"] for r in first.of("fileinfo")] == [r["fileinfo"] for r in again.of("fileinfo")]


def test_records_are_the_same_without(read, tmp_path):
    capture = read.file(of_talks(*(make() for make in talks.ALL.values())))
    without, kept = read(capture), read("--extract", tmp_path / "out", capture)
    for record in kept.of("fileinfo"):
        assert record["fileinfo"]["stored"]
        record["fileinfo"]["stored"] = False
    assert kept.records == without.records


def test_dots_are_undone(read, tmp_path):
    text = b"Subject: dots\r\n\r\n.\r\n..two\r\nno dot\r\n"
    read("--extract", tmp_path / "out", of_talks(talks.mail(text=text)))
    assert files(tmp_path / "out") == of_message(text, b".\r\n..two\r\nno dot\r\n")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(read, tmp_path, name):
    """Of nothing that a peer says is anything in a name, and nothing is beside the directory."""
    text = talks.message().replace(b"file.bin", b'"' + name + b'"')
    read("--extract", tmp_path / "out", of_talks(talks.mail(text=text)))
    assert files(tmp_path / "out") == of_message(text, b"see it", FILE)
    assert {p.name for p in tmp_path.iterdir()} == {"out", "1.pcap"}


def test_hostile_names_of_ftp(read, tmp_path):
    read("--extract", tmp_path / "out", of_talks(talks.ftp(name="../../../tmp/x")))
    assert files(tmp_path / "out") == {FILE_SHA256: FILE}


# ---- what is not whole ----


def cut_mail(after):
    """DATA that ends after that many octets of the message, and then the capture."""
    t = talks.talk(talks.V4, 40001, 25)
    t.s(b"220 mx\r\n").c(b"EHLO a\r\n").s(b"250 mx\r\n").c(b"MAIL FROM:<a@good.example>\r\n").s(b"250 Ok\r\n")
    t.c(b"RCPT TO:<b@campus.example>\r\n").s(b"250 Ok\r\n").c(b"DATA\r\n").s(b"354 go on\r\n")
    return t.c(talks.message()[:after])


def test_cut_message(read, tmp_path):
    """The part that came to its end is whole."""
    end = talks.message().index(b"Content-Transfer-Encoding") + 10000
    said = read("--extract", tmp_path / "out", of_talks(cut_mail(end)))
    assert files(tmp_path / "out") == {sha256(b"see it"): b"see it"}
    assert [r["fileinfo"]["stored"] for r in said.of("fileinfo")] == [False]


def test_gap_in_a_message(read, tmp_path):
    text = talks.message()
    half = cut_mail(len(text) // 2)
    half.skip(True, 100).c(text[len(text) // 2 + 100:] + b".\r\n").s(b"250 Ok\r\n").c(b"QUIT\r\n").s(b"221\r\n").end()
    read("--extract", tmp_path / "out", of_talks(half), code=None)
    assert files(tmp_path / "out") == {sha256(b"see it"): b"see it"}


def test_beginning_of_a_message_by_TOP(read, tmp_path):
    t = talks.talk(talks.V4, 40002, 110)
    t.s(b"+OK ready\r\n").c(b"USER anna\r\n").s(b"+OK\r\n").c(b"PASS secret\r\n").s(b"+OK in\r\n")
    t.c(b"TOP 1 9\r\n").s(b"+OK\r\n" + talks.message()[:500] + b"\r\n.\r\n").c(b"QUIT\r\n").s(b"+OK bye\r\n").end()
    said = read("--extract", tmp_path / "out", of_talks(t))
    assert said.of("email") and files(tmp_path / "out") == {}


def test_cut_file_of_ftp(read, tmp_path):
    talk = talks.ftp(content=FILE * 20)
    frames = P.frames_of(talk)
    data = [i for i, (_, packet) in enumerate(talk.packets) if FILE[2000:2050] in packet]
    read("--extract", tmp_path / "out", P.pcap(frames[:data[10]]), code=None)
    assert files(tmp_path / "out") == {}


# ---- the directory ----


def test_a_link_in_the_directory_is_not_followed(read, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "beside").write_bytes(b"precious")
    os.symlink("../beside", tmp_path / "out" / FILE_SHA256)
    said = read("--extract", tmp_path / "out", of_talks(talks.ftp()))
    assert (tmp_path / "beside").read_bytes() == b"precious"
    assert (tmp_path / "out" / FILE_SHA256).is_symlink()
    assert said.messages == [f"postern read: {tmp_path}/out/{FILE_SHA256}: is there already, and not with the size "
                             "of what has this digest: left as it is"]
    assert [r["fileinfo"]["stored"] for r in said.of("fileinfo")] == [False]


def test_budget(read, tmp_path):
    """Beyond it one line, and records go on."""
    mails = [talks.mail(sport=41000 + i, text=b"Subject: %d\r\n\r\n" % i + b"x" * 600_000 + b"\r\n") for i in range(4)]
    said = read("--extract", tmp_path / "out", "--extract-max", "2", of_talks(*mails))
    assert len(said.of("smtp")) == 4
    assert said.messages == [f"postern read: {tmp_path}/out: the budget of 2 MiB is used up: no more is extracted"]
    kept = files(tmp_path / "out")
    assert sum(map(len, kept.values())) <= 2 << 20 and len(kept) >= 2
    assert all(sha256(octets) == name.removesuffix(".eml") for name, octets in kept.items())


@pytest.mark.parametrize("where, says", [("none/below", "cannot make this directory: No such file or directory"),
                                         ("file", "Not a directory")])
def test_directory_that_cannot_be(read, tmp_path, where, says):
    (tmp_path / "file").touch()
    said = read("--extract", tmp_path / where, of_talks(talks.ftp()), code=1)
    assert (said.records, said.messages) == ([], [f"postern read: {tmp_path}/{where}: {says}"])
