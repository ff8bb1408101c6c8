#!/bin/sh
# Reads the image with other tools: image.sh ARCHIVE BINARY-x86_64 BINARY-arm64.
#
# skopeo reads both platforms, and a build that copies from the image, as users'
# Dockerfiles do, ends up with the binary's own bytes, executable. buildah needs
# neither a daemon nor a network for this; its store is a scratch folder.
set -eu
archive=$(realpath "$1") x86_64=$(realpath "$2") arm64=$(realpath "$3")
layer=$(realpath "$(dirname "$0")/../../layer")

for tool in skopeo buildah; do
    command -v "$tool" >/dev/null || { echo "skipped: image.sh (no $tool here)"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: image.sh (mounting an image needs root)"; exit 0; }

scratch=$(mktemp -d)
trap 'store umount --all >/dev/null 2>&1; rm -rf "$scratch"' EXIT
store() {
    command=$1; shift
    buildah --root "$scratch/root" --runroot "$scratch/run" --storage-driver vfs "$command" "$@"
}
fail() { echo "image.sh: $*" >&2; exit 1; }
same() {
    cmp "$1" "$2" || fail "$2 is not $1"
    [ "$(stat -c %a "$2")" = 755 ] || fail "$2 has mode $(stat -c %a "$2")"
}

for arch in amd64 arm64; do
    case $arch in amd64) binary=$x86_64 ;; arm64) binary=$arm64 ;; esac

    found=$(skopeo inspect --override-arch $arch --format '{{.Architecture}}' "oci-archive:$archive")
    [ "$found" = $arch ] || fail "skopeo finds $found instead of $arch"

    store pull --quiet --arch $arch "oci-archive:$archive" >"$scratch/id"
    store tag "$(cat "$scratch/id")" "localhost/adapter:$arch"
    root=$(store mount "$(store from --pull-never "localhost/adapter:$arch")")
    same "$binary" "$root/lambda-adapter"
    same "$binary" "$root/opt/extensions/lambda-adapter"
    [ "$(find "$root" -type f | wc -l)" = 2 ] || fail "the image holds more than the adapter"

    printf 'FROM scratch\nCOPY --from=localhost/adapter:%s %s\n' \
        $arch '/lambda-adapter /opt/extensions/lambda-adapter' >"$scratch/Dockerfile"
    store build --quiet --isolation chroot --arch $arch --tag "copy:$arch" \
        -f "$scratch/Dockerfile" "$scratch" >/dev/null
    root=$(store mount "$(store from --pull-never "localhost/copy:$arch")")
    same "$binary" "$root/opt/extensions/lambda-adapter"

    mkdir -p "$scratch/context/dist"
    cp "$x86_64" "$scratch/context/dist/lambda-adapter-x86_64"
    cp "$arm64" "$scratch/context/dist/lambda-adapter-arm64"
    store build --quiet --isolation chroot --arch $arch --build-arg TARGETARCH=$arch \
        --tag "dockerfile:$arch" -f "$layer/Dockerfile" "$scratch/context" >/dev/null
    root=$(store mount "$(store from --pull-never "localhost/dockerfile:$arch")")
    same "$binary" "$root/lambda-adapter"
    same "$binary" "$root/opt/extensions/lambda-adapter"
    echo "image.sh: $arch: skopeo reads it, both Dockerfiles copy the binary's bytes"
done
