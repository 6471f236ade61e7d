"""Chromium without a window shows a page and measures it, in light or dark."""

import json
import subprocess
from pathlib import Path
from typing import Any, Literal

from matplotlib.image import imread

Scheme = Literal["light", "dark"]
SCHEMES = {"dark": 0, "light": 1}  # Blink's numbers
MEASURE = """
const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
const linear = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const luminance = color => color.slice(0, 3).map(linear)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const behind = element => {
  for (; element; element = element.parentElement) {
    const color = rgb(getComputedStyle(element).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), \
found = {};
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement, style = getComputedStyle(element);
  if (!texts.currentNode.data.trim() || \
["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  const front = rgb(element instanceof SVGElement ? style.fill : style.color), \
back = behind(element);
  const [low, high] = [luminance(front), luminance(back)].sort((a, b) => a - b);
  found[front + " on " + back] = (high + .05) / (low + .05);
}
const clipped = [...document.querySelectorAll("svg text")].filter(text => {
  const own = text.getBoundingClientRect(), \
all = text.ownerSVGElement.getBoundingClientRect();
  return own.left < all.left - 1 || own.right > all.right + 1;
}).map(text => text.textContent);
const cut = [...document.querySelectorAll(".scroll")]
  .filter(part => part.scrollWidth > part.clientWidth).map(part => part.ariaLabel);
const filled = [...document.querySelectorAll(".card > svg")]
  .map(svg => svg.clientWidth / svg.parentElement.clientWidth);
const page = document.documentElement;
const said = {width: innerWidth, scrolled: page.scrollWidth, contrasts: found, \
clipped, cut, filled};
const result = parent.document.createElement("pre");
result.textContent = JSON.stringify(said);
result.id = "measured";
parent.document.body.append(result);
"""


def framed(page: Path, folder: Path, *, width: int, script: str = "") -> Path:
    """Put a page into a frame, since Chromium's own window is never that narrow.

    The page stays as it is, but for the script.
    """
    html = page.read_text().replace(
        'http-equiv="Content-Security-Policy"', "data-off", 1 if script else 0
    )
    inner = (
        html.replace("</body>", f"<script>{script}</script></body>") if script else html
    )
    quoted = inner.replace("&", "&amp;").replace('"', "&quot;")
    path = folder / f"framed-{width}.html"
    frame = (
        f'<iframe srcdoc="{quoted}" '
        f'style="border:0;width:{width}px;height:6000px"></iframe>'
    )
    path.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">{frame}</body>'
    )
    return path


def open_page(page: Path, folder: Path, scheme: Scheme, *options: str) -> str:
    """Open a page and return what Chromium prints."""
    words = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
    ]
    words += [
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
    ]
    done = subprocess.run(
        [*words, "--disable-background-networking", *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def photograph(page: Path, folder: Path, scheme: Scheme, *, width: int) -> Any:
    """Take a picture; pixels (height, width, 3 or 4), 0 to 1."""
    path = folder / f"{scheme}-{width}.png"
    size = [f"--window-size={max(width, 500)},6000", f"--screenshot={path}"]
    open_page(framed(page, folder, width=width), folder, scheme, *size)
    return imread(path)[:, :width]


def measure(page: Path, folder: Path, scheme: Scheme, *, width: int) -> dict[str, Any]:
    """Measure the widths of a page, its contrasts and its clipped texts.

    `scrolled` is the width of its content. A clipped text is cut by its picture, a part
    that is cut has to be scrolled, and a picture has filled a share of its card.
    """
    dom = open_page(
        framed(page, folder, width=width, script=MEASURE), folder, scheme, "--dump-dom"
    )
    text = dom[dom.index('<pre id="measured">') :].split(">", 1)[1].split("</pre>")[0]
    return json.loads(text)
