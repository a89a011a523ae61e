#!/usr/bin/env python3
"""Writes the PDFs of this folder. Each is small and asks its reader for something without end."""

import zlib
from pathlib import Path

HERE = Path(__file__).parent


def pdf(objects, trailer=b"", xref=None):
    """A PDF of these objects (number: bytes), with a sound table of where they stand unless another is given."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    size = max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places.get(number, 0)
    trailer = trailer.replace(b"SELF", b"%d" % start)
    out += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start if xref is None else xref)
    return bytes(out)


def stream(data, extra=b""):
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(data), extra, data)


def deflated(data, times):
    for _ in range(times):
        data = zlib.compress(data, 9)
    return stream(data, b"/Filter[" + b"/FlateDecode " * times + b"]")


def bomb(megabytes):
    """Zeros as a zlib stream, and that compressed once more, without ever holding them all."""
    outer, inner = zlib.compressobj(9), zlib.compressobj(9)
    packed = bytearray()
    for _ in range(megabytes):
        packed += outer.compress(inner.compress(b" " * (1 << 20)))
    packed += outer.compress(inner.flush()) + outer.flush()
    return stream(bytes(packed), b"/Filter[/FlateDecode/FlateDecode]")


CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def page(resources=b"<</Font<</F 5 0 R>>>>"):
    return b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources%s/Contents 4 0 R>>" % resources


def forms(depth, times):
    """Each form draws the next one many times: more drawing than there are atoms, in a few kilobytes."""
    objects = {1: CATALOG, 2: PAGES, 3: page(b"<</XObject<</X 6 0 R>>>>"), 4: stream(b"/X Do\n"), 5: FONT}
    for level in range(depth):
        own = b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</Font<</F 5 0 R>>/XObject<</X %d 0 R>>>>"
        last = level == depth - 1
        body = b"BT /F 9 Tf (banner) Tj ET\n" if last else b"/X Do\n" * times
        objects[6 + level] = stream(body, own % (6 if last else 7 + level))
    return pdf(objects)


def tree(depth, times):
    """Each branch of the page tree has the next one many times."""
    objects = {1: CATALOG, 3: page(), 4: stream(b"BT /F 9 Tf 72 700 Td (3 Banner) Tj ET\n"), 5: FONT}
    branches = [2] + list(range(6, 6 + depth - 1))
    for at, number in enumerate(branches):
        kid = branches[at + 1] if at + 1 < depth else 3
        count = times ** (depth - at)
        objects[number] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b"%d 0 R " % kid * times, count)
    return pdf(dict(sorted(objects.items())))


SOUND = {1: CATALOG, 2: PAGES, 3: page(), 4: stream(b"BT /F 9 Tf 72 700 Td (3 Banner) Tj ET\n"), 5: FONT}
NUMBERS = b"".join(b"%d 0 " % number for number in range(10, 2000))
OBJECTS = b"/Type/ObjStm/N 1000000000/First 2000000000/Extends 6 0 R"

FILES = {
    "forms.pdf": forms(12, 60),
    "flate.pdf": pdf({**SOUND, 4: bomb(2048)}),
    "pages.pdf": tree(5, 10),
    "page-tree.pdf": tree(14, 40),
    "xref-loop.pdf": pdf(SOUND, b"/Prev SELF/XRefStm SELF"),
    "object-stream.pdf": pdf({**SOUND, 2: b"7 0 R", 6: stream(NUMBERS, OBJECTS), 7: b"7 0 R"}),
    "kids-loop.pdf": pdf({**SOUND, 2: b"<</Type/Pages/Kids[2 0 R 2 0 R]/Parent 2 0 R/Count 2147483647>>"}),
}

for name, content in FILES.items():
    (HERE / name).write_bytes(content)
    print(f"{name}: {len(content)} bytes")
