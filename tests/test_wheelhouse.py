"""The wheelhouse: collected from stand-in packages, and installed from with the network off."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import REPOSITORY, loaded

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def wheelhouse():
    """workshop/wheelhouse.py as a module."""
    with loaded(REPOSITORY / "workshop" / "wheelhouse.py") as module:
        yield module


def write_wheel(
    folder, name, version="1.0", *, requires=(), extras=(), tag="py3-none-any", code="", script=""
):
    """A wheel of one module, by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.8"]
    metadata += [f"Provides-Extra: {extra}" for extra in extras]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        # What a package carries within it counts for nothing.
        f"vendored/{name}-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: other\nVersion: 1\n",
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script}\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A folder that pip takes for the only index there is: a few small packages."""
    folder = tmp_path_factory.mktemp("index")
    first = ["standin_b>=1; sys_platform == 'win32'", "standin_c>1; extra == 'more'"]
    write_wheel(folder, "standin_a", requires=first, extras=["more"], code="answer = 42\n")
    write_wheel(folder, "standin_b", tag="py3-none-win_amd64")
    write_wheel(folder, "standin_c", "1.0")
    write_wheel(folder, "standin_c", "2.0")
    write_wheel(folder, "standin_d", requires=["standin_a[more]", "standin_e"])
    write_wheel(folder, "standin_e", requires=["standin_f"])
    write_wheel(folder, "standin_f", requires=["standin_c<2"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder))
        yield folder


def collected(wheelhouse, requirement, folder, target):
    folder.mkdir()
    wheelhouse.collect([requirement], folder, target)
    return sorted(path.name.split("-py3")[0] for path in folder.iterdir())


def test_what_a_package_needs_is_decided_by_the_other_computer(wheelhouse, index, tmp_path):
    windows, macos = wheelhouse.Target("windows", "3.12"), wheelhouse.Target("macos", "3.12")
    names = collected(wheelhouse, "standin_a", tmp_path / "windows", windows)
    assert names == ["standin_a-1.0", "standin_b-1.0"]
    names = collected(wheelhouse, "standin-a[more]", tmp_path / "macos", macos)
    assert names == ["standin_a-1.0", "standin_c-2.0"]


def test_a_package_without_a_wheel_is_named_and_nothing_is_left(
    wheelhouse, index, tmp_path, monkeypatch
):
    requires = ["standin_a[more]", "standin_b"]
    monkeypatch.setattr(
        wheelhouse,
        "build_wheel",
        lambda folder: write_wheel(folder, "movrec", "0.1.0", requires=requires),
    )
    monkeypatch.setattr(wheelhouse, "read_settings", lambda: {"version": "0.1.0"})
    with pytest.raises(SystemExit) as stopped:
        wheelhouse.make(tmp_path / "house", wheelhouse.Target("linux-arm", "3.13"))
    assert "no wheel of standin-b that fits Linux on an ARM processor with Python 3.13" in str(
        stopped.value
    )
    assert not list(tmp_path.iterdir())


def test_versions_that_do_not_go_together_are_named(wheelhouse, index, tmp_path):
    with pytest.raises(SystemExit, match="standin_c<2 is needed, but standin_c-2.0"):
        collected(wheelhouse, "standin_d", tmp_path / "house", wheelhouse.Target("linux", "3.12"))


def test_a_folder_that_is_there_is_left_alone(wheelhouse, tmp_path):
    (tmp_path / "house").mkdir()
    with pytest.raises(SystemExit, match="is there already"):
        wheelhouse.make(tmp_path / "house", wheelhouse.Target("linux", "3.12"))


def test_movrec_itself_is_built_from_a_copy(wheelhouse, tmp_path, monkeypatch):
    pytest.importorskip("setuptools", "69")
    before = {path.name for path in REPOSITORY.iterdir()}
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # this pip's way to say: without a network
    wheelhouse.build_wheel(tmp_path)
    (wheel,) = tmp_path.glob("movrec-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "movrec/cli.py",
        "movrec/data/movies_sample.csv",
        "movrec/data/search_box.css",
        "movrec/lessons/nbs/01_ingest.ipynb",
    } <= names
    assert {path.name for path in REPOSITORY.iterdir()} == before


# ---- the installation ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(wheelhouse, index, tmp_path_factory):
    """A wheelhouse for this computer, in which a stand-in takes movrec's place."""
    if wheelhouse.this_platform() is None:
        pytest.skip("this kind of computer is none of the wheelhouse's")

    def build_wheel(folder):
        write_wheel(
            folder,
            "movrec",
            wheelhouse.read_settings()["version"],
            requires=["standin_a[more]; extra == 'lab'"],
            extras=["lab", "app"],
            code="def main():\n    import standin_a\n    print('stand-in', standin_a.answer)\n",
            script="movrec = movrec:main",
        )

    folder = tmp_path_factory.mktemp("made") / "house"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheelhouse, "build_wheel", build_wheel)
        wheelhouse.make(folder, wheelhouse.Target(wheelhouse.this_platform(), VERSION))
    return folder


@pytest.fixture
def house(made, tmp_path):
    """A copy of that wheelhouse, to be spoilt."""
    return shutil.copytree(made, tmp_path / "house")


def install(house, *arguments):
    """Run install.py as an attendee would, with the network off."""
    command = [sys.executable, str(house / "install.py"), *map(str, arguments)]
    offline = ["unshare", "-rn"]
    if (
        shutil.which("unshare")
        and subprocess.run([*offline, "true"], capture_output=True).returncode == 0
    ):
        command = offline + command
    nowhere = dict.fromkeys(
        ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"], "http://127.0.0.1:9"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment = {**environment, **nowhere, "PIP_FIND_LINKS": "", "PIP_NO_INDEX": ""}
    return subprocess.run(
        command, env=environment, cwd=house.parent, capture_output=True, encoding="utf-8"
    )


@pytest.mark.slow
def test_it_installs_with_the_network_off(house, tmp_path):
    done = install(house, tmp_path / "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stand-in 42" in done.stdout and "lab\n" in done.stdout
    programs = tmp_path / "mine" / "venv" / ("Scripts" if os.name == "nt" else "bin")
    code = "import movrec, standin_a, standin_c; print(movrec.__file__)"
    imported = subprocess.run(
        [str(programs / "python"), "-I", "-c", code],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert str(tmp_path / "mine") in imported.stdout
    again = install(house, tmp_path / "mine")
    assert again.returncode == 1 and "is there already" in again.stderr


def test_the_folder_says_what_it_is(house):
    assert {path.name for path in house.iterdir()} >= {
        "INSTALL.txt",
        "install.py",
        "kit.json",
        "wheels",
    }
    for line in (house / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        checksum, name = line.split("  ")
        assert hashlib.sha256((house / name).read_bytes()).hexdigest() == checksum
    exercises = {path.name for path in (house / "exercises").glob("*.ipynb")}
    assert exercises == {path.name for path in (REPOSITORY / "nbs").glob("[0-9]*.ipynb")}
    for path in (house / "exercises").glob("*.ipynb"):
        for picture in re.findall(r"\]\(([^)\s]+\.png)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / picture).is_file(), picture
    text = (house / "INSTALL.txt").read_text(encoding="utf-8")
    assert f"with Python {VERSION}. 3 packages" in text and "install.py" in text
    assert max(map(len, text.splitlines())) <= 100
    kit = json.loads((house / "kit.json").read_text(encoding="utf-8"))
    assert kit["first_python"] == f"{VERSION}.0" and kit["system"] == platform.system()


def test_a_damaged_file_another_python_and_another_computer_are_told(house, tmp_path):
    with (house / "wheels" / "standin_a-1.0-py3-none-any.whl").open("ab") as file:
        file.write(b"x")
    done = install(house, tmp_path / "mine")
    assert done.returncode == 1
    assert done.stderr == (
        "wheels/standin_a-1.0-py3-none-any.whl was damaged on its way here: copy the folder again.\n"
    )
    kit = json.loads((house / "kit.json").read_text(encoding="utf-8"))
    for change, said in (
        ({"python": "3.8", "first_python": "3.8.0"}, "These packages are for Python 3.8"),
        ({"first_python": f"{VERSION}.99"}, f"from {VERSION}.99 on"),
        ({"machine": "abacus"}, "this computer is another one"),
    ):
        (house / "kit.json").write_text(json.dumps({**kit, **change}), encoding="utf-8")
        done = install(house, tmp_path / "mine")
        assert done.returncode == 1 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "mine").exists()
