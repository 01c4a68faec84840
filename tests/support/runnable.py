"""Images that a kubelet can run: one program that ends at once with success."""

import io
import json
import struct
import tarfile

from support.client import Manifest, digest_of, image


def runnable_image(seed: str = "runnable") -> Manifest:
    """Return an image whose one layer is such a program; of another seed the layer is another."""
    program = _exit_program()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for name, mode, content in (("true", 0o755, program), ("seed", 0o644, seed.encode())):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(content)
            archive.addfile(entry, io.BytesIO(content))
    packed = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["/true"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(packed)]},
        }
    ).encode()
    return image(seed, layers=[packed], config=config)


def _exit_program() -> bytes:
    """Return the smallest program for Linux on amd64: exit(0)."""
    code = bytes.fromhex("31ff b83c000000 0f05".replace(" ", ""))
    base, headers = 0x400000, 64 + 56
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", identity, 2, 62, 1, base + headers, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    size = headers + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code
