"""Package metadata, read from settings.ini: change it there, not here."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

parser = ConfigParser(delimiters=["="])
parser.read(HERE / "settings.ini", encoding="utf-8")
config = parser["DEFAULT"]

EXTRA_SUFFIX = "_requirements"
extras = {
    key.removesuffix(EXTRA_SUFFIX): value.split()
    for key, value in config.items()
    if key.endswith(EXTRA_SUFFIX)
}

first_minor = int(config["min_python"].split(".")[1])
last_minor = int(config["max_python"].split(".")[1])

setup(
    name=config["lib_name"],
    version=config["version"],
    description=config["description"],
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=config["author"],
    author_email=config["author_email"],
    url=config["git_url"],
    project_urls={"Documentation": config["doc_host"] + config["doc_baseurl"]},
    keywords=config["keywords"].split(),
    license="Apache-2.0",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Education",
        "Intended Audience :: Developers",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(first_minor, last_minor + 1)),
    ],
    packages=find_packages(include=["movrec", "movrec.*"]),
    package_data={"movrec": ["data/*"]},
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
