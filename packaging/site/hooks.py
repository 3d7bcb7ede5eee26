"""Hooks of the documentation site: the navigation is the table of contents, docs/README.md, and links to files outside docs/ lead
to the repository."""

import posixpath
import re

from mkdocs.structure.files import File

REPOSITORY = "https://github.com/snom2mqtt/snom2mqtt/blob/main/"
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)]*)?\))")
PAGE = re.compile(r"\]\(([^)#:]+\.md)\)")


def on_config(config):
    """Makes the navigation of docs/README.md."""
    with open(posixpath.join(config.docs_dir, "README.md"), encoding="utf-8") as f:
        parts = re.split(r"^## (.+)$", f.read(), flags=re.MULTILINE)
    navigation = [{"Contents": "README.md"}]
    for title, text in zip(parts[1::2], parts[2::2]):
        pages = [file for file in PAGE.findall(text) if not file.startswith("../")]
        if "models/README.md" in pages:
            pages.remove("models/README.md")
            pages.append({"Models": families(config.docs_dir)})
        navigation.append({title: pages})
    navigation.append({"Repository": "https://github.com/snom2mqtt/snom2mqtt"})
    config.nav = navigation
    return config


def on_files(files, config):
    """Adds the icon of the console."""
    icon = posixpath.join(posixpath.dirname(config.docs_dir), "console", "static", "icon.svg")
    files.append(File.generated(config, "icon.svg", abs_src_path=icon))
    return files


def families(docs):
    """Lists the pages of the families of models, in the order of their table of contents."""
    with open(posixpath.join(docs, "models", "README.md"), encoding="utf-8") as f:
        return ["models/README.md"] + ["models/" + file for file in re.findall(r"\]\(([a-z0-9]+\.md)\)", f.read())]


def on_page_markdown(markdown, page, **_):
    """Makes links that leave docs/ lead to the repository."""
    folder = posixpath.dirname(page.file.src_uri)

    def outward(match):
        path = posixpath.normpath(posixpath.join("docs", folder, match[2]))
        if path.startswith("docs/"):
            return match[0]
        return match[1] + REPOSITORY + path + match[3]

    return LINK.sub(outward, markdown)
