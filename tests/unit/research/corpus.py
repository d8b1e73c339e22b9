"""A small folder of documents in every format, about leases and about gardens."""

from pathlib import Path

OPERATIONS = """\
# Operations

[Home](index.md) [Guide](guide.md) [Reference](reference.md)

## When a worker dies

The lease of a dead worker runs out after fifteen seconds, and the sweep puts its step back into the queue.
Another worker then recovers the task from its last checkpoint, so that no committed step is run again.

```python
worker.recover(dies=True)  # code is never quoted
```

## Capacity

Eight slots per processor were enough for all the loads that we have measured on our own machines so far.
"""

RUNBOOK = """\
<html><head><title>Runbook</title><style>p { color: red }</style></head><body>
<nav><ul><li><a href="/">When a worker dies the system recovers, says the menu</a></li></ul></nav>
<main><h1>Runbook</h1><h2>Crashed workers</h2>
<p>A crashed worker needs no help from you: the sweep finds its expired lease and <b>requeues</b> the step.</p>
<p>The task resumes on another machine from its last checkpoint, usually within <code>20</code> seconds.</p>
<footer>When a worker dies, all rights reserved.</footer></main></body></html>
"""

GARDEN = """\
Gardening
=========

Tomatoes want six hours of sun a day and water at the root, best given early in the morning.

.. code-block:: python

    worker.dies()

Prune the lower leaves once the first fruits have set, so that air can move between the plants.
"""


def write_corpus(folder: Path) -> Path:
    (folder / "operations.md").write_text(OPERATIONS)
    (folder / "runbook.html").write_text(RUNBOOK)
    (folder / "garden.rst").write_text(GARDEN)
    recovery = [
        "2 Recovery",
        "A process that was killed loses its lease, and the queue hands its",
        "task to the next.",
    ]
    (folder / "manual.pdf").write_bytes(pdf([["The Manual"], recovery]))
    return folder


def pdf(pages: list[list[str]]) -> bytes:
    """A PDF by hand (ISO 32000-1, 7.5): one text line after the other, in Helvetica."""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids: list[str] = []
    for lines in pages:
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET".encode("latin-1")
        kids.append(f"{len(objects) + 1} 0 R")
        font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        contents = f"/Contents {len(objects) + 2} 0 R"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {font} {contents} >>".encode())
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    data = b"%PDF-1.4\n"
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (size, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (size, table, trailer)
