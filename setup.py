"""Package metadata, read from settings.ini: change it there, not here."""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent

# settings.ini: `lab_requirements` are what the extra `lab` brings.
EXTRA_SUFFIX = "_requirements"


def read_settings() -> dict:
    """The settings of the project, as nbdev reads them."""
    parser = ConfigParser(delimiters=["="])
    parser.read(HERE / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


def long_description(settings: dict) -> str:
    """README.md with absolute links, since a package index shows it away from the repository."""
    readme = HERE / "README.md"
    if not readme.exists():
        # README.md is generated, by tools that the first installation brings.
        return settings["description"]
    address, branch = settings["git_url"], settings["branch"]
    text = readme.read_text(encoding="utf-8")
    # A relative link's target starts with neither a scheme ("https:") nor "#".
    relative = r"\]\((?![a-z]+:|#)([^)\s]+)\)"
    text = re.sub("(!\\[[^\\]]*)" + relative, rf"\1]({address}/raw/{branch}/\2)", text)
    return re.sub(relative, rf"]({address}/blob/{branch}/\1)", text)


class BuildWithLessons(build_py):
    """Puts lessons, workings and the pictures in them into the package, for `movrec lab`."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # in a clone the command takes them from where they are
        for notebook in sorted(HERE.glob("nbs/**/[0-9]*.ipynb")):
            self.add_lesson(notebook)
            pictures = re.findall(
                r"\]\((?:\.\./)+(images/[\w.-]+)", notebook.read_text(encoding="utf-8")
            )
            for picture in pictures:
                self.add_lesson(HERE / picture)

    def add_lesson(self, path: Path) -> None:
        """Copy a file, which keeps its place below `movrec/lessons`."""
        target = Path(self.build_lib, "movrec", "lessons", path.relative_to(HERE))
        self.mkpath(str(target.parent))
        self.copy_file(str(path), str(target))


config = read_settings()
extras = {
    key.removesuffix(EXTRA_SUFFIX): value.split()
    for key, value in config.items()
    if key.endswith(EXTRA_SUFFIX)
}
first_minor = int(config["min_python"].split(".")[1])
last_minor = int(config["max_python"].split(".")[1])
supported = [f"3.{minor}" for minor in range(first_minor, last_minor + 1)]

setup(
    name=config["lib_name"],
    version=config["version"],
    description=config["description"],
    long_description=long_description(config),
    long_description_content_type="text/markdown",
    author=config["author"],
    author_email=config["author_email"],
    url=config["git_url"],
    project_urls={
        "Documentation": config["doc_host"] + config["doc_baseurl"],
        "Changes": f"{config['git_url']}/blob/{config['branch']}/CHANGELOG.md",
    },
    keywords=config["keywords"].split(),
    license="Apache-2.0",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Education",
        "Intended Audience :: Developers",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: {version}" for version in supported),
    ],
    cmdclass={"build_py": BuildWithLessons},
    packages=find_packages(include=["movrec", "movrec.*"]),
    package_data={"movrec": ["data/*", "data/reader/*", "py.typed"]},
    include_package_data=True,
    python_requires=f">={config['min_python']}",
    install_requires=config["requirements"].split(),
    extras_require=extras,
    entry_points={
        "console_scripts": config["console_scripts"].split(),
        "nbdev": [f"{config['lib_name']}={config['lib_name']}._modidx:d"],
    },
    zip_safe=False,
)
