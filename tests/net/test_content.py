"""What is in messages: FIELD rows M5, M6, M7, M9, M13; SECURITY case M-040 (the message itself goes on)."""

import base64
import hashlib
import io
import zipfile

import pytest

import lab as L

# a DOS header without a program
EXECUTABLE = bytes.fromhex("4d5a90000300000004000000ffff0000b800000000000000400000000000000000") + bytes(
    27) + bytes.fromhex("800000000e1fba0e00b409cd21b8014ccd21") + b"This program cannot be run in DOS mode."
DIGEST = hashlib.sha256(EXECUTABLE).hexdigest()


@pytest.fixture
def invoice(tmp_path):
    path = tmp_path / "invoice.pdf"
    path.write_bytes(EXECUTABLE)
    return path


def send(lab, path, subject):
    """swaks sends the file as an attachment that says it is a PDF."""
    return lab.client.run(
        "swaks", "--server", L.GATEWAY, "--from", "anna@good.example", "--to",
        "otto@campus.example", "--header", f"Subject: {subject}", "--body", "the invoice",
        "--attach-type", "application/pdf", "--attach-name", "invoice.pdf", "--attach",
        f"@{path}")


def refused(gate, done, reason, said):
    assert done.returncode != 0
    assert f"550 5.7.1 Message refused: part 2: {said}" in done.stdout
    record = gate.record("smtp")
    assert record["smtp"]["state"] == "refused"
    assert record["smtp"]["replies"][-1]["source"] == "gateway"
    verdict = record["verdict"]
    assert (verdict["action"], verdict["rule"], verdict["reason"]) == ("refuse", "content", reason)
    return record


def test_an_executable_called_invoice_M7_M9(lab, campus, gateway, invoice):
    gate = gateway(campus, content={"mismatch": "enforce"})
    record = refused(gate, send(lab, invoice, "buy"), "mismatch", "it is not what")
    assert campus.settle() == []
    email = record["email"]
    assert email["subject"] == "buy"
    assert email["attachment"] == ["invoice.pdf"]
    assert [p["path"] for p in email["parts"]] == ["", "1", "2"]
    part = email["parts"][2]
    assert part["mime_type"] == "application/pdf"
    assert part["detected_type"] == "application/x-dosexec"
    assert part["filename"] == "invoice.pdf"
    assert (part["size"], part["sha256"]) == (len(EXECUTABLE), DIGEST)
    assert part["mismatch"]
    info = gate.record("fileinfo")
    assert info["flow_id"] == record["flow_id"] and info["tx_id"] == record["tx_id"]
    assert info["fileinfo"]["filename"] == "invoice.pdf"
    assert info["fileinfo"]["sha256"] == DIGEST


def test_it_is_delivered_and_reported_M9(lab, campus, gateway, invoice):
    gate = gateway(campus)
    done = send(lab, invoice, "reported")
    assert done.returncode == 0, done.stdout
    assert b"invoice.pdf" in campus.box.wait("reported")
    record = gate.record("smtp")
    assert record["smtp"]["state"] == "accepted"
    assert record["verdict"]["action"] == "report"
    assert record["verdict"]["reason"] == "mismatch"
    assert record["email"]["parts"][1]["sha256"]  # a part without a name (M6)


def test_a_digest_on_a_list_reaches_the_workers_M9_M13(lab, campus, gateway, invoice, tmp_path):
    names = tmp_path / "denied"
    names.write_text(f"# known\n{DIGEST}  invoice.pdf\n" + "".join(
        hashlib.sha256(b"%d" % i).hexdigest() + "\n" for i in range(1000)))
    gate = gateway(campus, content={"deny_sha256": str(names)})
    names.unlink()  # they have it from the supervisor
    refused(gate, send(lab, invoice, "known"), "sha256", "its SHA-256 digest is on a list")
    assert campus.settle() == []


def test_the_session_goes_on_when_nothing_is_found(campus, gateway):
    gate = gateway(campus, content={"deny_extensions": ["exe"], "deny_types": ["image/*"]})
    with gate.client() as client:
        client.hello()
        for subject in ("first", "second"):
            client.envelope()
            assert client.data(f"Subject: {subject}\r\n\r\nx\r\n.\r\n").code == 250
    assert len(campus.settle()) == 2
    assert [r["email"]["subject"] for r in gate.records("smtp")] == ["first", "second"]


def zip_archive(name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, b"x" * 1000)
    return out.getvalue()


def ar_archive(name):
    """Read by libarchive, inside the sandbox of a worker."""
    return b"!<arch>\n" + f"{name + '/':16}{0:<12}{0:<6}{0:<6}{'100644':8}{4:<10}".encode() + b"`\nabcd"


@pytest.mark.parametrize("make", [zip_archive, ar_archive])
def test_a_name_in_an_archive_M8_M9(fake, gateway, make):
    server = fake()
    gate = gateway(server, content={"deny_extensions": ["exe"]})
    body = base64.encodebytes(make("setup.exe")).replace(b"\n", b"\r\n")
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(b"Content-Type: application/octet-stream; name=a.bin\r\n"
                             b"Content-Transfer-Encoding: base64\r\n\r\n" + body + b".\r\n")
        assert answer.is_(550, "5.7.1"), answer
    assert not server.mails
    part = gate.record("smtp")["email"]["parts"][0]
    assert [m["name"] for m in part["members"]] == ["setup.exe"]


def test_every_part_of_the_analysis_works_in_the_sandbox_M3_M4_M11(fake, gateway):
    """Charsets, types, all digests: what these load is loaded before the sandbox closes."""
    gate = gateway(fake(), mime={"digests": ["sha256", "sha1", "md5"]})
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(
            b"Subject: =?iso-2022-jp?B?GyRCRnxLXDhsGyhC?= =?koi8-r?B?8NLJ18XU?=\r\n"
            b"Content-Type: text/html; name*=windows-1252''%80.html\r\n\r\n"
            b'<a href="http://example.org/x">x</a>\r\n.\r\n').code == 250
    email = gate.record("smtp")["email"]
    assert email["subject"] == "\u65e5\u672c\u8a9e\u041f\u0440\u0438\u0432\u0435\u0442"
    assert email["url"] == ["http://example.org/x"]
    part = email["parts"][0]
    assert part["filename"] == "\u20ac.html"
    assert part["detected_type"] == "text/html"
    assert [len(part[d]) for d in ("sha256", "sha1", "md5")] == [64, 40, 32]


# ---- nothing at the server, however the message comes ----

EXE_MAIL = (b"Content-Type: application/octet-stream; name=a.exe\r\n"
            b"Content-Disposition: attachment; filename=a.exe\r\n\r\n" + b"x\r\n" * 50)
NO_EXE = {"deny_extensions": ["exe"]}


def chunk(octets, last=False):
    return b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets


NEXT_MAIL = (b"MAIL FROM:<anna@good.example>\r\nRCPT TO:<otto@campus.example>\r\n" +
             chunk(b"Subject: next\r\n\r\nx\r\n", last=True))


def nothing_at(server):
    got = server.ended()
    assert not server.mails
    assert not [c for c in got.commands if b"LAST" in c]


@pytest.mark.parametrize("wire", [
    chunk(EXE_MAIL, last=True),
    b"".join(chunk(EXE_MAIL[i:i + 1]) for i in range(len(EXE_MAIL) - 1)) +
    chunk(EXE_MAIL[-1:], last=True),
    chunk(EXE_MAIL) + b"BDAT 0 LAST\r\n",
    chunk(EXE_MAIL[:50]) + chunk(EXE_MAIL[50:], last=True) + NEXT_MAIL,
    chunk(EXE_MAIL) + b"BDAT 0 LAST\r\n" + NEXT_MAIL + b"QUIT\r\n",
], ids=["one", "octets", "empty_last", "pipelined", "empty_last_pipelined"])
def test_refused_in_chunks_M9(fake, gateway, wire):
    server = fake()
    gate = gateway(server, content=NO_EXE)
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(wire)
        while (answer := client.reply()).code == 250:
            pass
        assert answer.is_(550, "5.7.1"), answer
        if not wire.endswith((NEXT_MAIL, b"QUIT\r\n")):
            client.send("NOOP\r\n")
        assert client.reply().code == 421
    nothing_at(server)
    gate.record("smtp", lambda r: r["smtp"].get("state") == "refused")


def test_mail_behind_a_refused_one_M9(fake, gateway):
    server = fake()
    gate = gateway(server, content=NO_EXE)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(EXE_MAIL + b".\r\n" + NEXT_MAIL).is_(550, "5.7.1")
        assert client.reply().code == 421
    nothing_at(server)


@pytest.mark.parametrize("leave", ["close", "reset", "finish"])
def test_client_goes_in_the_middle_M9(fake, gateway, leave):
    server = fake()
    gate = gateway(server, content=NO_EXE)
    client = gate.client()
    client.hello()
    client.envelope()
    assert client.cmd("DATA").code == 354
    client.send(EXE_MAIL)
    getattr(client, leave)()
    nothing_at(server)
    assert gate.record("smtp")["email"]["status"] == "BODY_STARTED"


def test_sixty_messages_in_a_session_M9(fake, gateway):
    """Delivered and forgotten, by both ways and by RSET; a rule that reports refuses none."""
    server = fake()
    gate = gateway(server, content={**NO_EXE, "extensions": "report"})
    with gate.client() as client:
        client.hello()
        for _ in range(20):
            client.envelope()
            assert client.data(EXE_MAIL + b".\r\n").code == 250
            client.envelope()
            client.send(chunk(EXE_MAIL, last=True))
            assert client.reply().code == 250
            client.envelope()
            client.send(chunk(EXE_MAIL))
            assert client.reply().code == 250
            assert client.cmd("RSET").code == 250
    assert len(server.mails) == 40
    gate.flow()  # the last of its records
    taken = [r for r in gate.records("smtp") if r["smtp"].get("state") == "accepted"]
    assert [r["verdict"]["action"] for r in taken] == ["report"] * 40
