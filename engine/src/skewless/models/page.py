"""Values and figures → one HTML page that opens anywhere, in one style.

The report of monitoring, the model card and the comparison of estimators are such
pages. Pictures are SVG inside the page, in its fonts and colours: they are drawn in
marks that become the page's variables, so one picture is light and dark.
"""

import re
import warnings
from collections.abc import Callable
from typing import Any, Final

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes

from skewless.core.answer import TIERS
from skewless.core.escaping import in_html
from skewless.models.plots import as_svg

WIDTH, HEIGHT = 5.0, 2.9  # inches, of 72 units of the page
TICKS: Final = 5
FEW_TICKS: Final = 4  # where their labels are long
NAMES: Final = (
    "muted",
    "line",
    "now",
    "before",
    *(tier.lower() for tier in TIERS),
    "bad",
)
COLOURS: Final = {name: f"#0123{place:02x}" for place, name in enumerate(NAMES)}
STYLE: Final[Any] = {  # matplotlib's type names every key
    **dict.fromkeys(
        ("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), COLOURS["line"]
    ),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), COLOURS["muted"]),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    **dict.fromkeys(("axes.facecolor", "figure.facecolor"), "none"),
    "font.size": 12,
    "text.parse_math": False,  # a category's name may hold $
}
NOISE: Final = re.compile(
    r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->| xmlns(:\w+)?=\"[^\"]*\""
    r"| id=\"[\w.]+?_\d+\"|font-family: [^;\"]+;? ?",
    re.DOTALL,
)
# The name by which one part of a picture refers to another.
MARK: Final = re.compile(r'(id="|#)(?=[a-z][0-9a-f]{10}\b)')


def write_share(value: float, _: float) -> str:
    """Write a tick of an axis with all its digits: a rounded one would lie."""
    return f"{100 * value:g}%"


def short_name(name: str, most: int) -> str:
    """Cut a name in its middle to `most` letters: many begin alike and differ behind.

    >>> short_name("a_column_with_a_long_name = value", 20)
    'a_column_…e = value'
    """
    plain: str = in_html(name)
    if len(plain) <= most:
        return plain
    kept = (most - 1) // 2  # on either side of what is cut out
    return f"{plain[:kept]}…{plain[-kept:]}"


def chart(name: str, draw: Callable[[Axes], None], height: float = HEIGHT) -> str:
    """Draw a picture in `COLOURS`, `height` inches high.

    No other picture on its page may have its name.
    """
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Of a letter that matplotlib's own font lacks; the page's fonts show it.
        warnings.filterwarnings("ignore", r"Glyph \d+")
        svg = as_svg(draw, (WIDTH, height)).decode()
    svg = NOISE.sub("", svg[svg.index("<svg") :])
    svg = MARK.sub(rf"\g<1>{name}-", svg).replace("xlink:href", "href")
    for variable, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return re.sub(r"<svg[^>]* viewBox=", "<svg viewBox=", svg, count=1)


def render_page(template: str, **values: Any) -> str:
    """Fill a template of this package in; the same values give the same text.

    Text among the values is escaped, wherever it comes from.
    """
    environment = Environment(
        loader=PackageLoader("skewless", "."),
        undefined=StrictUndefined,
        finalize=in_html,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
