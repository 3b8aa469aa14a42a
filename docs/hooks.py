"""What MkDocs does besides: equations become MathML while the site is built, and notebooks are found and listed."""

import html
import json
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

NOTEBOOKS = Path(__file__).parent / "notebooks"
LIST = "<!-- every notebook, its title and what it shows -->"
VERBATIM = re.compile(r"(<(pre|code|script|style|svg|math)\b.*?</\2>)", re.DOTALL)
IN_PAGES = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
IN_NOTEBOOKS = re.compile(r"\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)


def on_config(config):
    """Puts every notebook into the navigation, behind the page that lists them."""
    section = next(item["Notebooks"] for item in config.nav if "Notebooks" in item)
    section += [f"notebooks/{path.name}" for path in notebooks() if f"notebooks/{path.name}" not in section]


def on_page_markdown(markdown, page, **_):
    """Lists the notebooks where `LIST` stands: their titles and the paragraphs below them."""
    if LIST not in markdown:
        return markdown
    lines = []
    for path in notebooks():
        title, _, rest = "".join(json.loads(path.read_text())["cells"][0]["source"]).partition("\n")
        lines.append(f"- [{title.lstrip('# ')}](notebooks/{path.name})  \n  {' '.join(rest.strip().split(chr(10) * 2)[0].split())}")
    return markdown.replace(LIST, "\n".join(lines))


def on_page_content(content, page, **_):
    """Turns equations into MathML, which browsers draw without a script."""
    if not page.file.src_uri.endswith(".ipynb"):
        return IN_PAGES.sub(lambda found: mathml(found[2], page, block=found[1] == "div"), content)

    def equation(found):
        return mathml(found["block"] or found["inline"], page, block=found["block"] is not None)

    parts = VERBATIM.split(content)  # text, verbatim, its tag, text, …
    return "".join(IN_NOTEBOOKS.sub(equation, part) if k % 3 == 0 else part for k, part in enumerate(parts) if k % 3 < 2)


def notebooks():
    """The notebooks in their order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def mathml(latex, page, *, block):
    """An equation as MathML. Raises `PluginError` for what the converter has not understood."""
    made = convert(html.unescape(latex).strip(), display="block" if block else "inline")
    if "\\" in made or re.search(r"&(?!#|amp;|lt;|gt;)", made):
        raise PluginError(f"{page.file.src_uri}: an equation that cannot be shown: {latex}")
    return f'<div class="equation">{made}</div>' if block else made
