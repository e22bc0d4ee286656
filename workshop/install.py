"""Install movrec from the folder that this file lies in, without a network.

    python3 install.py           into the folder movrec-workshop in your home folder
    python3 install.py FOLDER    into that folder

It needs nothing but Python itself, of the version that the folder was made for.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def check_computer(kit):
    """End where the wheels are for another computer or another Python."""
    first = tuple(int(number) for number in kit["first_python"].split("."))
    if sys.version_info[:2] != first[:2] or sys.version_info[:3] < first:
        sys.exit(
            "These packages are for Python {}, from {} on, and this is Python {}.{}.{}: run this "
            "file with another Python, or ask for the folder that is made for this one.".format(
                kit["python"], kit["first_python"], *sys.version_info
            )
        )
    if (platform.system(), platform.machine()) != (kit["system"], kit["machine"]):
        sys.exit(
            "These packages are for {}, and this computer is another one ({} {}): "
            "ask for the folder that is made for it.".format(
                kit["for"], platform.system(), platform.machine()
            )
        )


def check_files():
    """End where a file is missing or was damaged on its way here."""
    print("Checking the files ...", flush=True)
    for line in (HERE / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        expected, name = line.split("  ", 1)
        checksum = hashlib.sha256()
        try:
            with (HERE / name).open("rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    checksum.update(block)
        except OSError as error:
            sys.exit(f"{name} cannot be read ({error.strerror}): copy the folder again.")
        if checksum.hexdigest() != expected:
            sys.exit(f"{name} was damaged on its way here: copy the folder again.")


def install(kit, folder):
    """Make a virtual environment in the folder, and install the packages into it."""
    environment = folder / "venv"
    programs = environment / ("Scripts" if platform.system() == "Windows" else "bin")
    print(f"Installing into {folder}; this takes some minutes ...", flush=True)
    # What somebody has told pip elsewhere (another index, a user installation) has no say here.
    environment_variables = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    steps = [
        [sys.executable, "-m", "venv", str(environment)],
        [
            *(str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "--isolated"),
            *("install", "--no-index", "--find-links", str(HERE / "wheels")),
            kit["requirement"],
        ],
        [str(programs / "movrec"), "--version"],
    ]
    for step in steps:
        if subprocess.call(step, env=environment_variables) != 0:
            sys.exit("That failed: the last lines above say why. The folder is removed again.")
    return programs


def main():
    """Check, install, and say what comes next."""
    kit = json.loads((HERE / "kit.json").read_text(encoding="utf-8"))
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path.home() / "movrec-workshop").absolute()
    check_computer(kit)
    if folder.exists():
        sys.exit(f"{folder} is there already: delete it, or name another folder.")
    check_files()
    done = False
    try:
        programs = install(kit, folder)
        for name in ("exercises", "slides"):
            if (HERE / name).is_dir():
                shutil.copytree(HERE / name, folder / name)
        done = True
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
    finally:
        if not done:
            shutil.rmtree(folder, ignore_errors=True)
    print("\nDone. This opens the notebooks:\n")
    print(f'    cd "{folder}"')
    print('    "{}" lab'.format(programs / "movrec"))
    if (folder / "exercises").is_dir():
        print("\nand this the exercises:\n")
        print('    "{}" -m jupyterlab exercises'.format(programs / "python"))


if __name__ == "__main__":
    main()
