"""What `layer/fetch` puts into dist/: only files of a release that pass both checks.

The release is a folder behind file://, and `gh` a stand-in that writes down what it
was asked and accepts or refuses; no network takes part.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

FETCH = Path(__file__).resolve().parents[2] / "layer" / "fetch"
BINARY = b"\x7fELF, more or less"
BINARIES = ["lambda-adapter-arm64", "lambda-adapter-x86_64"]
LAYER = "lambda-adapter-layer-arm64.zip"

GH = """#!/bin/sh
printf '%s\\n' "$*" >>"$RECORD"
exit "$VERDICT"
"""


class Fetch(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "layer").mkdir()
        shutil.copy(FETCH, self.folder / "layer" / "fetch")
        self.release = self.folder / "releases" / "download" / "v1.2.3"
        self.release.mkdir(parents=True)
        self.sums = {}
        for name in (*BINARIES, LAYER):
            (self.release / name).write_bytes(BINARY + name.encode())
            self.sums[name] = hashlib.sha256(BINARY + name.encode()).hexdigest()
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        (self.programs / "gh").write_text(GH)
        (self.programs / "gh").chmod(0o755)

    def fetch(self, *arguments, verdict="0", **settings):
        """Run the script; give its exit status and the files that are in dist/ then."""
        sums = "".join(f"{digest}  {name}\n" for name, digest in self.sums.items())
        (self.release / "SHA256SUMS").write_text(sums)
        environment = {
            "PATH": f"{self.programs}:{os.defpath}",
            "RECORD": str(self.folder / "record"),
            "VERDICT": verdict,
            "REPOSITORY": "someone/fork",
            "RELEASES": f"file://{self.folder}/releases",
        }
        ended = subprocess.run(
            [self.folder / "layer" / "fetch", *arguments],
            env=environment | settings,
            capture_output=True,
            text=True,
        )
        self.stderr = ended.stderr
        dist = self.folder / "dist"
        files = sorted(path.name for path in dist.iterdir()) if dist.exists() else []
        return ended.returncode, files

    def asked(self):
        record = self.folder / "record"
        return record.read_text().splitlines() if record.exists() else []

    def test_both_binaries_of_a_version_are_fetched_executable(self):
        status, files = self.fetch("v1.2.3")
        self.assertEqual((status, files), (0, BINARIES), self.stderr)
        for name in files:
            path = self.folder / "dist" / name
            self.assertEqual(path.read_bytes(), BINARY + name.encode())
            self.assertEqual(path.stat().st_mode & 0o777, 0o755)

    def test_the_provenance_of_each_file_names_the_repository_and_its_workflow(self):
        self.fetch("1.2.3")
        self.assertEqual(len(self.asked()), 2)
        for line in self.asked():
            self.assertIn("attestation verify", line)
            workflow = "someone/fork/.github/workflows/release.yml"
            self.assertIn(f"--repo someone/fork --signer-workflow {workflow}", line)

    def test_other_files_can_be_named(self):
        self.assertEqual(self.fetch("1.2.3", LAYER), (0, [LAYER]))

    def test_a_file_with_another_checksum_stays_out_with_all_others(self):
        self.sums["lambda-adapter-arm64"] = "0" * 64
        self.assertEqual(self.fetch("1.2.3"), (1, []))
        self.assertIn("SHA-256 of `lambda-adapter-arm64` is", self.stderr)

    def test_a_file_that_the_sums_do_not_name_stays_out(self):
        del self.sums["lambda-adapter-x86_64"]
        self.assertEqual(self.fetch("1.2.3"), (1, []))
        self.assertIn("is not in SHA256SUMS", self.stderr)

    def test_a_file_without_provenance_stays_out(self):
        self.assertEqual(self.fetch("1.2.3", verdict="1"), (1, []))
        self.assertIn("failed to verify that `someone/fork` built", self.stderr)

    def test_provenance_can_be_skipped_only_on_request(self):
        (self.programs / "gh").unlink()
        if shutil.which("gh", path=os.defpath):
            self.skipTest("gh is installed for everyone here")
        self.assertEqual(self.fetch("1.2.3"), (1, []))
        self.assertIn("PROVENANCE=skip", self.stderr)
        status, files = self.fetch("1.2.3", PROVENANCE="skip")
        self.assertEqual((status, len(files)), (0, 2), self.stderr)

    def test_a_version_that_does_not_exist_is_named(self):
        self.assertEqual(self.fetch("9.9.9"), (1, []))
        self.assertIn("v9.9.9/SHA256SUMS", self.stderr)

    def test_an_unknown_repository_is_asked_for(self):
        self.assertEqual(self.fetch("1.2.3", REPOSITORY=""), (1, []))
        self.assertIn("REPOSITORY=owner/name", self.stderr)


if __name__ == "__main__":
    unittest.main()
