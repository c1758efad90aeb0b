"""Which bytes are taken in, and which hostile ones are not."""

from __future__ import annotations

import gzip
import resource
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.documents import rules
from tests.documents import files
from tests.documents.files import PDF, XML, archive, chunk, jpeg, ofd, png, segment

LIMIT = 10_000_000


def recognise(content: bytes, kind: str = "invoice") -> str:
    return rules.recognise(content, kind=kind, max_bytes=LIMIT).content_type


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PDF, "application/pdf"),
        (PDF.replace(b"1.7", b"2.0"), "application/pdf"),
        (PDF + b"\r\n", "application/pdf"),
        (png(), "image/png"),
        (png(4000, 3000), "image/png"),
        (png(extra=chunk(b"tEXt", b"Comment\x00hello")), "image/png"),
        (jpeg(), "image/jpeg"),
        (jpeg(4000, 3000, comment=b"a photo"), "image/jpeg"),
        (jpeg() + b"\x00" * 100, "image/jpeg"),
        (XML, "application/xml"),
        (b"\xef\xbb\xbf" + XML, "application/xml"),
        (ofd(), "application/ofd"),
        (archive({"OFD.xml": files.OFD_ROOT, "/Doc_0/a.xml": b"<a/>"}), "application/ofd"),
    ],
)
def test_a_good_file_is_recognised_by_its_bytes(content, content_type):
    assert recognise(content) == content_type


ENTITIES = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE EInvoice [<!ENTITY e0 "ha">' + ENTITIES + b"]><EInvoice>&e9;</EInvoice>"
)
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><EInvoice>&x;</EInvoice>'
)
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HEAD = b'<?xml version="1.0"?>'
PK = archive({"a.txt": b"hello"})

HOSTILE = {
    "nothing": b"",
    "one byte": b"%",
    "zeros": b"\x00" * 1000,
    "text": b"hello",
    "html": HTML,
    "html with a mark": b"\xef\xbb\xbf" + HTML,
    "svg": SVG,
    "svg with a head": HEAD + SVG,
    "svg by namespace": HEAD + b'<EInvoice xmlns:s="http://www.w3.org/2000/svg"><s:a/></EInvoice>',
    "xhtml": HEAD + b'<html xmlns="http://www.w3.org/1999/xhtml"/>',
    "xhtml inside": HEAD + b'<EInvoice><b xmlns="http://www.w3.org/1999/xhtml"/></EInvoice>',
    "script inside": HEAD + b"<EInvoice><script>alert(1)</script></EInvoice>",
    "stylesheet": HEAD + b'<?xml-stylesheet href="evil.xsl"?><EInvoice/>',
    "entity bomb": BOMB,
    "external entity": EXTERNAL,
    "doctype": HEAD + b'<!DOCTYPE EInvoice SYSTEM "http://evil.example/a.dtd"><EInvoice/>',
    "other xml": HEAD + b"<project/>",
    "cut xml": XML[:-4],
    "xml with more behind": XML + HTML,
    "two roots": HEAD + b"<EInvoice/><EInvoice/>",
    "deep xml": HEAD + b"<EInvoice>" + b"<a>" * 200 + b"</a>" * 200 + b"</EInvoice>",
    "swollen xml": HEAD + b"<EInvoice>" + b"<a/>" * 200_000 + b"</EInvoice>",
    "xml in an odd encoding": HEAD.decode().encode("utf-16") + b"<EInvoice/>",
    "pdf head only": b"%PDF-1.7\n",
    "html as pdf": b"%PDF-1.7\n" + HTML + b"\nstartxref\n0\n%%EOF",
    "script as pdf": b"%PDF-1.7\n<ScRiPt>alert(1)</script>\nstartxref\n0\n%%EOF",
    "php as pdf": b"%PDF-1.7\n<?php system('id'); ?>\nstartxref\n0\n%%EOF",
    "frame in pdf": PDF.replace(b"1 0 obj", b"<iframe src=x>"),
    "javascript in pdf": PDF.replace(b"/Catalog", b"/Catalog /OpenAction << /S /JavaScript /JS (x) >>"),
    "launch in pdf": PDF.replace(b"/Catalog", b"/Action /S /Launch"),
    "rich media in pdf": PDF.replace(b"/Catalog", b"/Annot /Subtype /RichMedia"),
    "cut pdf": PDF[:-20],
    "pdf with a zip behind": PDF + PK,
    "pdf with a jar inside its end": PDF[:-6] + PK + b"startxref\n0\n%%EOF",
    "pdf behind something": b"GIF89a" + PDF,
    "no version": PDF.replace(b"%PDF-1.7", b"%PDF-x.y"),
    "png head only": b"\x89PNG\r\n\x1a\n",
    "cut png": png()[:-6],
    "png cut at the length": png()[:10],
    "png without pixels": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\x00\x00\x00\x02" * 2 + b"\x08\0\0\0\0") + chunk(b"IEND", b""),
    "png without header": b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"x") + chunk(b"IEND", b""),
    "png of 20000 by 20000": png(20_000, 20_000),
    "png of 8000 by 8000": png(8_000, 8_000),
    "png of one huge side": png(2**31 - 1, 1),
    "png of no size": png(0, 2),
    "png with a broken sum": png()[:20] + b"\xff" + png()[21:],
    "png with html behind": png() + HTML,
    "png with a zip behind": png() + PK,
    "png with html inside": png(extra=chunk(b"tEXt", b"Comment\x00" + HTML)),
    "png with php inside": png(extra=chunk(b"tEXt", b"Comment\x00<?php phpinfo(); ?>")),
    "png with a lying length": b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xffIHDR" + b"\x00" * 50,
    "jpeg head only": b"\xff\xd8\xff",
    "cut jpeg": jpeg()[:-2],
    "jpeg cut in the header": jpeg()[:10],
    "jpeg of 20000 by 20000": jpeg(20_000, 20_000),
    "jpeg of 65535 by 65535": jpeg(65_535, 65_535),
    "jpeg of no size": jpeg(0, 0),
    "jpeg without frame": b"\xff\xd8" + segment(0xE0, b"JFIF") + segment(0xDA, b"\x00" * 6) + b"\xff\xd9",
    "jpeg with html inside": jpeg(comment=HTML),
    "jpeg with script in the scan": jpeg(scan=b"<script>alert(1)</script>"),
    "jpeg with html behind": jpeg() + HTML,
    "jpeg with a zip behind": jpeg() + PK,
    "jpeg with a zip inside": jpeg(comment=PK),
    "jpeg with a film behind": jpeg() + b"\x00\x00\x00\x18ftypmp42" + b"\x01" * 100,
    "zip": PK,
    "docx": archive({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"}),
    "zip bomb": archive({"OFD.xml": files.OFD_ROOT, "a.xml": b"\x00" * 20_000_000}),
    "many entries": archive({"OFD.xml": files.OFD_ROOT, **{f"{n}": b"" for n in range(1_001)}}),
    "path out of the package": ofd(**{"../../etc/cron.d/x": b"x"}),
    "windows path": ofd(**{"a\\..\\b": b"x"}),
    "drive path": ofd(**{"C:/x": b"x"}),
    "program in ofd": ofd(**{"a.exe": b"MZ"}),
    "page in ofd": ofd(**{"a.html": HTML}),
    "ofd without root": archive({"Doc_0/Document.xml": b"<a/>"}),
    "ofd with another root": archive({"OFD.xml": HEAD + b"<project/>"}),
    "ofd with an entity bomb": archive({"OFD.xml": BOMB}),
    "cut ofd": ofd()[:-10],
    "ofd of damaged content": ofd().replace(b"PK\x03\x04", b"PK\x03\x04", 1)[:45] + b"\xff\xff\xff" + ofd()[48:],
    "ofd behind a program": b"MZ" + ofd(),
    "gzip": gzip.compress(b"hello"),
    "gif": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    "bmp": b"BM" + b"\x00" * 60,
    "webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "elf": b"\x7fELF" + b"\x00" * 60,
    "exe": b"MZ" + b"\x00" * 60,
    "shell": b"#!/bin/sh\nid\n",
    "rtf": b"{\\rtf1 hello}",
    "old word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600,
    "too large": PDF[:9] + b"\x00" * LIMIT + PDF[9:],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["invoice", "certificate"])
def test_a_hostile_file_is_refused_fast_and_small(name, kind):
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    with pytest.raises(rules.FileRefused):
        recognise(HOSTILE[name], kind)

    assert time.process_time() - begun < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_the_largest_allowed_size_is_still_taken_in():
    padding = LIMIT - len(PDF)
    content = PDF[:9] + b"%" * padding + PDF[9:]

    assert recognise(content) == "application/pdf"
    with pytest.raises(rules.FileRefused):
        recognise(content[:9] + b"%" + content[9:])


@pytest.mark.parametrize(
    ("kind", "content"),
    [("photo", PDF), ("certificate", XML), ("certificate", ofd()), ("slip", XML), ("photo", ofd())],
)
def test_a_type_that_a_kind_does_not_take_is_refused(kind, content):
    with pytest.raises(rules.FileRefused):
        recognise(content, kind)


@given(st.sampled_from([PDF, png(), jpeg(), XML, ofd()]), st.data())
def test_a_file_cut_anywhere_or_of_any_bytes_never_breaks_the_reader(content, data):
    end = data.draw(st.integers(0, len(content)))
    noise = data.draw(st.binary(max_size=40))
    try:
        recognise(content[:end] + noise)
    except rules.FileRefused:
        return


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("合格证.pdf", "合格证.pdf"),
        ("a.html", "a.pdf"),
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\Users\\x\\照片.jpg", "照片.pdf"),
        ("a\r\nSet-Cookie: b.pdf", "aSet-Cookie_ b.pdf"),
        ("\u202efdp.exe", "fdp.pdf"),
        ("", "文件.pdf"),
        ("...", "文件.pdf"),
        ('a"b<c>.pdf', "a_b_c_.pdf"),
        ("x" * 300 + ".pdf", "x" * 80 + ".pdf"),
        ("\x00", "文件.pdf"),
    ],
)
def test_the_shown_name_has_no_path_no_control_and_our_ending(given_name, shown):
    assert rules.display_name(given_name, ".pdf") == shown
