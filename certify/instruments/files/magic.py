"""The format of a file by its first bytes, whatever its name.

Magic numbers: the formats' own specifications (ELF gABI, Microsoft PE/COFF, Mach-O loader.h, WebAssembly core
1, CPython importlib/_bootstrap_external.py, APPNOTE.TXT for zip, RFC 1952 for gzip).
"""

from __future__ import annotations

_MACH_O = (
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbf",
)
_ARCHIVES = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"MSCF\0\0\0\0", "cab"),
    (b"\x60\xea", "arj"),
)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"RIFF", b"\0\0\1\0", b"BM")


def program(head: bytes) -> str:
    """The kind of machine code or compiled code that begins with these bytes; empty for none."""
    if head.startswith(b"\x7fELF"):
        return "an ELF binary"
    if head.startswith(b"MZ"):
        at = int.from_bytes(head[60:64], "little")
        if head[at : at + 4] == b"PE\0\0" or (len(head) >= 64 and b"DOS mode" in head[:512]):
            return "a Windows binary (PE)"
    if head[:4] in _MACH_O:
        return "a Mach-O binary"
    if head.startswith(b"\xca\xfe\xba\xbe") and len(head) >= 8:
        # A fat Mach-O has the number of architectures here, a Java class its version, 45 or more.
        count = int.from_bytes(head[4:8], "big")
        return "a Mach-O binary" if 0 < count < 45 else "a Java class" if count & 0xFFFF >= 45 else ""
    for mark, what in (
        (b"\0asm\1\0\0\0", "a WebAssembly module"),
        (b"BC\xc0\xde", "LLVM bitcode"),
        (b"!<arch>\n", "a library archive of binaries"),
        (b"dex\n03", "an Android binary"),
    ):
        if head.startswith(mark):
            return what
    return "compiled Python" if is_compiled_python(head) else ""


def is_compiled_python(head: bytes) -> bool:
    """A .pyc: the number of a CPython 3, CR LF, and a code object after 16 bytes (12 or 8 before)."""
    if head[2:4] != b"\r\n" or not 3000 <= int.from_bytes(head[:2], "little") <= 3800:
        return False
    return any(head[at : at + 1] in (b"\xe3", b"\x63") for at in (16, 12, 8))


def archive(head: bytes) -> str:
    """The kind of archive or compressed file that begins with these bytes; empty for none."""
    if head[257:262] == b"ustar":
        return "tar"
    return next((kind for mark, kind in _ARCHIVES if head.startswith(mark)), "")
