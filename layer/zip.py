"""Write a layer zip: zip.py OUTPUT NAME=FILE...

The same files give the same bytes: entries come in the order given, each with
mode 0755 (Lambda unpacks them into /opt and starts them) and the first date that
the format can hold. PKWARE APPNOTE 4.4.6 (date) and 4.4.15 (mode, in the upper
half of the external attributes when "made by" says Unix).
"""

import stat
import sys
import zipfile

UNIX = 3
MODE = stat.S_IFREG | 0o755


def write(output, members):
    """Write `members`, pairs of name and bytes, to the zip file `output`."""
    with zipfile.ZipFile(output, "w") as archive:
        for name, content in members:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = UNIX
            entry.external_attr = MODE << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)


def main():
    output, *arguments = sys.argv[1:]
    members = []
    for argument in arguments:
        name, path = argument.split("=", 1)
        with open(path, "rb") as file:
            members.append((name, file.read()))
    write(output, members)
    print(f"made {output}: {', '.join(name for name, _ in members)}")


if __name__ == "__main__":
    main()
