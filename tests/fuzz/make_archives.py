#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_zip, fuzz_tar, fuzz_gzip, fuzz_tnef and fuzz_urls.

The first octet of each is the harness's own: how long the pieces are.
"""

import gzip
import io
import pathlib
import struct
import tarfile
import zipfile

HERE = pathlib.Path(__file__).parent / "corpus"


class Pipe(io.RawIOBase):
    """Cannot seek: zipfile then writes data descriptors."""

    def __init__(self):
        self.octets = b""

    def writable(self):
        return True

    def write(self, octets):
        self.octets += bytes(octets)
        return len(octets)


def zip_of(target, names):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as z:
        for name in names:
            z.writestr(zipfile.ZipInfo(name), name * 20)


def zips():
    plain, pipe = io.BytesIO(), Pipe()
    zip_of(plain, ["a.txt", "dir/b.exe"])
    zip_of(pipe, ["a.txt", "dir/b.exe"])
    octets = plain.getvalue()
    return {
        "plain": octets,
        "descriptors": pipe.octets,
        "two": octets + octets,
        "prefixed": b"MZ" + octets,
        "names": octets.replace(b"b.exe", b"b.txt", 1),
        "cut": octets[:-30],
    }


def tar_of(form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for name in ["a.txt", "d/" * 80 + "b.exe"]:
            info = tarfile.TarInfo(name)
            info.size = 5
            t.addfile(info, io.BytesIO(b"hello"))
    return out.getvalue()[:5120]


def gzips():
    tar = tar_of(tarfile.USTAR_FORMAT)
    named = io.BytesIO()
    with gzip.GzipFile("a.txt", "wb", fileobj=named, mtime=0) as g:
        g.write(b"hello")
    return {
        "tar": gzip.compress(tar, mtime=0),
        "single": named.getvalue(),
        "two": named.getvalue() * 2,
        "zeros": gzip.compress(bytes(2 << 20), mtime=0),
    }


def attribute(level, number, octets):
    return struct.pack("<BII", level, number, len(octets)) + octets + b"\0\0"


def tnef_of(*attributes):
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


def tnefs():
    plain = tnef_of(
        attribute(2, 0x69002, bytes(14)),
        attribute(2, 0x18010, b"a.txt\0"),
        attribute(2, 0x6800F, b"hello"),
    )
    name = "b.exe\0".encode("utf-16le")
    long_name = struct.pack("<IIII", 1, 0x3707001F, 1, len(name)) + name
    nested = bytes(16) + plain
    inside = struct.pack("<IIII", 1, 0x3701000D, 1, len(nested)) + nested
    return {
        "plain": plain,
        "long-name": tnef_of(attribute(2, 0x69002, bytes(14)), attribute(2, 0x69005, long_name)),
        "nested": tnef_of(attribute(2, 0x69002, bytes(14)), attribute(2, 0x69005, inside)),
    }


TEXTS = {
    "text": b"\x00see http://Example.org/x?y=1. and ftp://b.example/\r\n",
    "html": b"\x01<a href=\"h&#116;tps://a.example/?x&amp;y\"><img src='//b.example/i'>",
    "hidden": "\x03<a href='http://ex\u00adample\u200b.org/'>".encode(),
}


def main():
    tars = {
        "ustar": tar_of(tarfile.USTAR_FORMAT),
        "pax": tar_of(tarfile.PAX_FORMAT),
        "gnu": tar_of(tarfile.GNU_FORMAT),
    }
    for kind, inputs in [("zip", zips()), ("tar", tars), ("gzip", gzips()), ("tnef", tnefs())]:
        (HERE / kind).mkdir(parents=True, exist_ok=True)
        for name, octets in inputs.items():
            (HERE / kind / name).write_bytes(b"\x06" + octets)
    (HERE / "urls").mkdir(parents=True, exist_ok=True)
    for name, octets in TEXTS.items():
        (HERE / "urls" / name).write_bytes(octets)


main()
