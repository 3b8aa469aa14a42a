"""What MkDocs does besides: equations become MathML, and notebooks are found and listed."""

import html
import json
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

NOTEBOOKS = Path(__file__).parent / "notebooks"
LIST = "<!-- every notebook, its title and what it shows -->"
VERBATIM = re.compile(r"(<(pre|code|script|style|svg|math)\b.*?</\2>|<[^>]*>)", re.DOTALL)
IN_PAGES = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
SCRIPTS = re.compile(r"(?<!\w)([^\W\d_])((?:[_^](?:\{[^{}<>]*\}|−?[^\W_]+))+)(?![\w(])")
SCRIPT = re.compile(r"([_^])(?:\{(.*?)\}|(−?[^\W_]+))")
IN_NOTEBOOKS = re.compile(r"\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)


def on_config(config):
    """Put every notebook into the navigation, behind the page that lists them."""
    section = next(item["Notebooks"] for item in config.nav if "Notebooks" in item)
    section += [
        f"notebooks/{path.name}" for path in notebooks() if f"notebooks/{path.name}" not in section
    ]


def on_page_markdown(markdown, page, **_):
    """List the notebooks where `LIST` stands: their titles and the paragraphs below them."""
    if LIST not in markdown:
        return markdown
    lines = []
    for path in notebooks():
        title, _, rest = "".join(json.loads(path.read_text())["cells"][0]["source"]).partition("\n")
        lines.append(
            f"- [{title.lstrip('# ')}](notebooks/{path.name})  \n"
            f"  {' '.join(rest.strip().split(chr(10) * 2)[0].split())}"
        )
    return markdown.replace(LIST, "\n".join(lines))


def on_page_content(content, page, **_):
    """Turn equations into MathML, which browsers draw without a script.

    Those of docstrings get their sub- and superscripts.
    """

    def in_page(match):
        return mathml(match[2], page, block=match[1] == "div")

    def in_notebook(match):
        return mathml(match["block"] or match["inline"], page, block=match["block"] is not None)

    if page.file.src_uri.endswith(".ipynb"):
        page.meta["hide"] = ["toc"]  # there is none, and code needs the room
        return outside_code(content, lambda text: IN_NOTEBOOKS.sub(in_notebook, text))
    if page.file.src_uri.startswith("reference/"):
        return outside_code(content, lambda text: SCRIPTS.sub(scripts, text))
    return IN_PAGES.sub(in_page, content)


def outside_code(content, change):
    """Return the page with all text changed that is neither code, nor a picture, nor a tag."""
    parts = VERBATIM.split(content)  # text, verbatim, its kind, text, …
    return "".join(
        change(part) if k % 3 == 0 else part for k, part in enumerate(parts) if k % 3 < 2
    )


def scripts(match):
    """Return a letter with scripts, as u^l_i, in HTML."""
    tags = {"_": "sub", "^": "sup"}
    return match[1] + SCRIPT.sub(
        lambda part: f"<{tags[part[1]]}>{part[2] or part[3]}</{tags[part[1]]}>", match[2]
    )


def notebooks():
    """Return the notebooks in their order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def mathml(latex, page, *, block):
    """Return an equation as MathML.

    Raises `PluginError` for what the converter has not understood.
    """
    markup = convert(html.unescape(latex).strip(), display="block" if block else "inline")
    if "\\" in markup or re.search(r"&(?!#|amp;|lt;|gt;)", markup):
        raise PluginError(f"{page.file.src_uri}: an equation that cannot be shown: {latex}")
    return f'<div class="equation">{markup}</div>' if block else markup
