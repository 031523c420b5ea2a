"""Hooks of the documentation site: pages of the top level join it, and links out of ``docs`` lead to copies.

A page links to other files of the repository as a reader of the checkout needs it. The site has no repository beside
it, so CHANGELOG, CONTRIBUTING and SECURITY become pages, and other linked files become files of the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
TOP_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")
_FENCE = re.compile(r"^```(\w+) .*$", re.MULTILINE)


def _source(uri: str) -> PurePosixPath:
    """The path of a page in the repository, by its path in the site."""
    return PurePosixPath(uri if uri in TOP_PAGES else f"docs/{uri}")


def _site_uri(path: str) -> str:
    """The path in the site of a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path in TOP_PAGES else f"repository/{path}"


def _target(uri: str, link: str) -> str:
    """The file of the repository to which a page links."""
    return os.path.normpath(_source(uri).parent / link)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the top level, and the files outside of ``docs`` to which pages link."""
    for name in TOP_PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for page in files.documentation_pages():
        for link in _LINK.findall(page.content_string):
            target = _target(page.src_uri, link)
            uri = _site_uri(target)
            if uri.startswith("repository/") and (ROOT / target).is_file() and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links to their places in the site. Fences lose what only the tests of snippets read."""
    uri = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        return f"]({os.path.relpath(_site_uri(_target(uri, match[1])), PurePosixPath(uri).parent)}"

    return _FENCE.sub(r"```\1", _LINK.sub(moved, markdown))
