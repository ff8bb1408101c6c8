"""Check what the finished binaries are: architecture, static, stripped, safe stack, size.

The file that users get is judged, not the flags that should have made it. The
fields are those of the ELF specification (System V ABI, chapters 4 and 5), read
here because no other tool for it is on every machine.
"""

import argparse
import struct
import sys

MACHINES = {62: "x86_64", 183: "arm64"}
PT_DYNAMIC, PT_INTERP, PT_GNU_STACK, PF_X, PF_W = 2, 3, 0x6474E551, 1, 2
SHT_SYMTAB = 2


def faults(elf, arch):
    """What is wrong with the ELF file `elf` as a static binary for `arch`."""
    if elf[:6] != b"\x7fELF\x02\x01":
        return ["not a 64-bit little-endian ELF file"]
    machine, _, _, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, _ = struct.unpack_from(
        "<HIQQQIHHHHHH", elf, 18
    )
    segments = [struct.unpack_from("<II", elf, phoff + i * phentsize) for i in range(phnum)]
    sections = [struct.unpack_from("<II", elf, shoff + i * shentsize)[1] for i in range(shnum)]

    found = []
    if MACHINES.get(machine) != arch:
        found.append(f"built for {MACHINES.get(machine, machine)}, not {arch}")
    if any(kind == PT_INTERP for kind, _ in segments):
        found.append("asks for an interpreter: it would not start in an image from scratch")
    if any(kind == PT_DYNAMIC for kind, _ in segments) and needed(elf, phoff, phentsize, phnum):
        found.append("needs shared libraries")
    if SHT_SYMTAB in sections:
        found.append("not stripped")
    stacks = [flags for kind, flags in segments if kind == PT_GNU_STACK]
    if not stacks or any(flags & PF_X for flags in stacks):
        found.append("has an executable stack")
    if any(kind == 1 and flags & PF_X and flags & PF_W for kind, flags in segments):
        found.append("has a segment both writable and executable")
    return found


def needed(elf, phoff, phentsize, phnum):
    """Whether the dynamic segment holds a DT_NEEDED entry (a static PIE has none)."""
    for i in range(phnum):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", elf, phoff + i * phentsize)
        if kind == PT_DYNAMIC:
            entries = struct.iter_unpack("<QQ", elf[offset : offset + size // 16 * 16])
            return any(tag == 1 for tag, _ in entries)
    return False


def main():
    parser = argparse.ArgumentParser(description="check finished binaries, named ...-ARCH")
    parser.add_argument("--budget", type=int, required=True, help="bytes a binary may have")
    parser.add_argument("binaries", nargs="+")
    options = parser.parse_args()

    failed = False
    for path in options.binaries:
        with open(path, "rb") as file:
            elf = file.read()
        found = faults(elf, path.rsplit("-", 1)[1])
        if len(elf) > options.budget:
            found.append(f"{len(elf) - options.budget} bytes over its budget of {options.budget}")
        verdict = "; ".join(found) or "static, stripped, no interpreter, stack not executable"
        print(f"{len(elf):>9,} bytes  {path}: {verdict}")
        failed = failed or bool(found)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
