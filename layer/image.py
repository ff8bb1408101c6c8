"""Write a multi-arch OCI image archive: image.py OUTPUT VERSION BINARY-x86_64 BINARY-arm64.

No Docker daemon is asked, because none is on a build machine that keeps to itself,
and the same binaries must give the same digests. Each architecture is one layer on
nothing: /lambda-adapter, which `COPY --from=` names, and the same file where Lambda
looks for extensions, as a hard link that costs no second copy.
https://github.com/opencontainers/image-spec (image-layout, index, manifest, config,
layer) and POSIX.1-1988 ustar for both tar levels.
"""

import hashlib
import io
import json
import sys
import tarfile
import zlib

PLATFORMS = {"x86_64": "amd64", "arm64": "arm64"}
OCI = "application/vnd.oci.image"
TITLE = "lambda-adapter"


def directory(tar, name):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(entry)


def regular(tar, name, content, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def layer(binary):
    """The file system of one architecture, as a tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        regular(tar, "lambda-adapter", binary, 0o755)
        directory(tar, "opt")
        directory(tar, "opt/extensions")
        link = tarfile.TarInfo("opt/extensions/lambda-adapter")
        link.type, link.linkname, link.mode = tarfile.LNKTYPE, "lambda-adapter", 0o755
        tar.addfile(link)
    return buffer.getvalue()


def gzip(content):
    """A gzip frame without name and time (RFC 1952), the same from every Python."""
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(content) + packer.flush()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def archive(binaries, version):
    """An OCI image layout in a tar file; `binaries` maps our architecture names to bytes."""
    blobs = {}

    def blob(kind, content):
        if not isinstance(content, bytes):
            content = json.dumps(content, separators=(",", ":")).encode()
        blobs[sha256(content)] = content
        return {"mediaType": kind, "digest": f"sha256:{sha256(content)}", "size": len(content)}

    labels = {
        "org.opencontainers.image.title": TITLE,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    manifests = []
    for arch, binary in binaries.items():
        platform = {"architecture": PLATFORMS[arch], "os": "linux"}
        plain = layer(binary)
        config = platform | {
            "config": {"Entrypoint": ["/lambda-adapter"], "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(plain)}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": blob(f"{OCI}.config.v1+json", config),
            "layers": [blob(f"{OCI}.layer.v1.tar+gzip", gzip(plain))],
            "annotations": labels,
        }
        manifests.append(blob(manifest["mediaType"], manifest) | {"platform": platform})

    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": manifests}
    named = blob(index["mediaType"], index)
    named["annotations"] = {"org.opencontainers.image.ref.name": version}

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        regular(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        regular(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())
        directory(tar, "blobs")
        directory(tar, "blobs/sha256")
        for digest, content in sorted(blobs.items()):
            regular(tar, f"blobs/sha256/{digest}", content)
    return buffer.getvalue(), named["digest"]


def main():
    output, version, *paths = sys.argv[1:]
    binaries = {}
    for path in paths:
        with open(path, "rb") as file:
            binaries[path.rsplit("-", 1)[1]] = file.read()
    content, digest = archive(binaries, version)
    with open(output, "wb") as file:
        file.write(content)
    print(f"made {output}: {TITLE}:{version} for {', '.join(binaries)}, {digest}")


if __name__ == "__main__":
    main()
