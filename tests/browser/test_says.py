"""What the results of the tab Similarity look like where numbers and widths are awkward."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from mmdemo import compare, load_encoder
from mmdemo.examples import examples
from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser

# How far the content of each card reaches over the card's right edge, in pixels.
OVERHANG = """() => [...document.querySelectorAll('#readings .mm-card')].flatMap(
  card => [...card.querySelectorAll('*')].map(
    part => part.getBoundingClientRect().right - card.getBoundingClientRect().right))"""


# Where the middle of each number of the axis stands, from the left of the figure.
TICKS = """() => {
  const left = document.querySelector('#bars').getBoundingClientRect().left
  return Object.fromEntries([...document.querySelectorAll('#bars .xtick text')].map(label => {
    const box = label.getBoundingClientRect()
    return [label.textContent.trim(), box.left + box.width / 2 - left]
  }).filter(([name]) => name))
}"""


def test_a_negative_cosine_moves_no_zero_line(visit: Visit) -> None:
    page = visit.page
    first, second = examples()[0].paths
    negative = compare(load_encoder("mini"), first, second, "strawberries")
    assert min(negative.text_image.values()) < -0.05
    before = page.evaluate(TICKS)
    assert {"0", "0.5", "1"} <= before.keys()
    page.get_by_label("Text", exact=True).fill("strawberries")
    lowest = f"{negative.text_image['image 2']:.3f}"
    number = page.locator("#bars .bartext").nth(1)
    expect(number).to_have_text(lowest)
    assert page.evaluate(TICKS) == pytest.approx(before, abs=0.5)
    # The number stands in the figure, right of zero, and not on the names of the rows.
    box, frame = number.bounding_box(), page.locator("#bars").bounding_box()
    assert box is not None
    assert frame is not None
    assert before["0"] - 1 <= box["x"] - frame["x"]
    assert box["x"] + box["width"] <= frame["x"] + frame["width"]


def test_nothing_sticks_out_of_a_card(visit: Visit) -> None:
    page = visit.page
    for width in (1440, 1280, 1241, 1200, 1000, 700, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert max(page.evaluate(OVERHANG)) <= 0, width
