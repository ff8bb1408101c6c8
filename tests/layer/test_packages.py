"""The contents of the packages: the zips, the image, and the check of the binaries.

The binaries here are a few bytes each, so that this runs in a second wherever
python3 is; `make size`, image.sh and rie.py check the real ones.
"""

import hashlib
import importlib.util
import io
import json
import struct
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

LAYER = Path(__file__).resolve().parents[2] / "layer"
sys.dont_write_bytecode = True


def script(name):
    spec = importlib.util.spec_from_file_location(f"layer_{name}", LAYER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


zip_, image, check_binary = script("zip"), script("image"), script("check_binary")


class LayerZip(unittest.TestCase):
    MEMBERS = [("extensions/lambda-adapter", b"program" * 99), ("bootstrap", b"#!/bin/sh\n")]

    def write(self, folder, name):
        path = Path(folder, name)
        zip_.write(path, self.MEMBERS)
        return path

    def test_members_are_executable_and_where_lambda_looks(self):
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(self.write(folder, "a.zip")) as archive:
                modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
                names = ["extensions/lambda-adapter", "bootstrap"]
                self.assertEqual(modes, dict.fromkeys(names, 0o100755))
                for name, content in self.MEMBERS:
                    self.assertEqual(archive.read(name), content)

    def test_the_same_files_give_the_same_bytes_whatever_the_clock_says(self):
        with tempfile.TemporaryDirectory() as folder:
            first = self.write(folder, "a.zip").read_bytes()
            self.assertEqual(first, self.write(folder, "b.zip").read_bytes())
            for entry in zipfile.ZipFile(io.BytesIO(first)).infolist():
                self.assertEqual(entry.date_time, (1980, 1, 1, 0, 0, 0))


class ImageArchive(unittest.TestCase):
    BINARIES = {"x86_64": b"program for x86_64", "arm64": b"program for arm64"}

    def setUp(self):
        self.content, self.digest = image.archive(self.BINARIES, "1.2.3")
        with tarfile.open(fileobj=io.BytesIO(self.content)) as tar:
            self.files = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}

    def blob(self, descriptor):
        content = self.files["blobs/" + descriptor["digest"].replace(":", "/")]
        self.assertEqual(len(content), descriptor["size"])
        self.assertEqual("sha256:" + hashlib.sha256(content).hexdigest(), descriptor["digest"])
        return content

    def test_each_platform_holds_the_binary_at_both_paths(self):
        self.assertEqual(json.loads(self.files["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
        (named,) = json.loads(self.files["index.json"])["manifests"]
        self.assertEqual(named["digest"], self.digest)
        self.assertEqual(named["annotations"]["org.opencontainers.image.ref.name"], "1.2.3")
        manifests = json.loads(self.blob(named))["manifests"]
        found = {m["platform"]["architecture"]: json.loads(self.blob(m)) for m in manifests}
        self.assertEqual(set(found), {"amd64", "arm64"})

        for arch, binary in (("amd64", "x86_64"), ("arm64", "arm64")):
            config = json.loads(self.blob(found[arch]["config"]))
            self.assertEqual((config["os"], config["architecture"]), ("linux", arch))
            (packed,) = found[arch]["layers"]
            with tarfile.open(fileobj=io.BytesIO(self.blob(packed)), mode="r:gz") as tar:
                for path in ("lambda-adapter", "opt/extensions/lambda-adapter"):
                    self.assertEqual(tar.getmember(path).mode, 0o755)
                    self.assertEqual(tar.extractfile(path).read(), self.BINARIES[binary])

    def test_the_layer_is_named_by_the_digest_of_its_unpacked_bytes(self):
        plain = image.layer(self.BINARIES["arm64"])
        diff_id = "sha256:" + hashlib.sha256(plain).hexdigest()
        self.assertTrue(any(diff_id.encode() in content for content in self.files.values()))

    def test_the_same_binaries_give_the_same_bytes(self):
        self.assertEqual(image.archive(self.BINARIES, "1.2.3"), (self.content, self.digest))


def elf(machine=62, segments=((1, 5), (0x6474E551, 6)), sections=(1,)):
    """The headers of an ELF file: `segments` are (type, flags), `sections` are types."""
    phoff, phentsize, shentsize = 64, 56, 64
    shoff = phoff + phentsize * len(segments)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, 0, phoff, shoff, 0, 64,
        phentsize, len(segments), shentsize, len(sections), 0,
    )
    programs = b"".join(struct.pack("<II", *s).ljust(phentsize, b"\0") for s in segments)
    headers = (struct.pack("<II", 0, s).ljust(shentsize, b"\0") for s in sections)
    return head + programs + b"".join(headers)


class BinaryCheck(unittest.TestCase):
    def test_a_static_stripped_binary_passes(self):
        self.assertEqual(check_binary.faults(elf(), "x86_64"), [])
        self.assertEqual(check_binary.faults(elf(machine=183), "arm64"), [])

    def test_what_would_not_start_or_not_be_safe_is_named(self):
        stack = (0x6474E551, 6)
        cases = [
            (b"#!/bin/sh\n", "not a 64-bit little-endian ELF file"),
            (elf(machine=183), "built for arm64, not x86_64"),
            (elf(segments=[(3, 4), stack]), "interpreter"),
            (elf(segments=[(0x6474E551, 7)]), "executable stack"),
            (elf(segments=[(1, 5)]), "executable stack"),
            (elf(segments=[(1, 7), stack]), "both writable and executable"),
            (elf(sections=[1, 2]), "not stripped"),
        ]
        for content, expected in cases:
            with self.subTest(expected):
                self.assertIn(expected, "; ".join(check_binary.faults(content, "x86_64")))

    def test_a_shared_library_that_is_needed_is_named(self):
        dynamic = struct.pack("<QQ", 1, 0)
        content = elf(segments=[(2, 6), (0x6474E551, 6)]) + dynamic
        struct_ = struct.pack("<IIQQQQ", 2, 6, len(content) - len(dynamic), 0, 0, len(dynamic))
        content = content[:64] + struct_ + content[64 + len(struct_) :]
        self.assertEqual(check_binary.faults(content, "x86_64"), ["needs shared libraries"])


if __name__ == "__main__":
    unittest.main()
