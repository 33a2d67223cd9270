"""The address holds the state of the tab: reload, back and a sent link reopen it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from mmdemo import CompareRequest, compare, load_encoder
from mmdemo.examples import FOLDER
from mmdemo.ui.tabs.similarity import address as of_similarity
from tests.browser.conftest import Visit
from tests.browser.test_similarity import upload, wait_for

pytestmark = pytest.mark.browser

BEE = FOLDER / "bee.jpg"


def says(page: Page, **values: str) -> None:
    """Wait until the address says this, and of what is empty nothing."""

    def found(url: str) -> bool:
        given = parse_qs(urlsplit(url).query)
        return all(given.get(name, [""]) == [value] for name, value in values.items())

    page.wait_for_url(found)


def test_a_link_a_reload_and_the_page_give_the_numbers_of_the_library(
    visit: Visit, opening: tuple[Path, Path, str]
) -> None:
    page = visit.page
    request = CompareRequest(BEE, opening[1], ("a bee", "a bridge"), "mini")
    scores = compare(load_encoder("mini"), BEE, opening[1], "a bee").scores
    page.goto(f"{page.url.partition('?')[0]}?{of_similarity.query(request, [], 'en')}")
    wait_for(page, scores)
    expect(page.get_by_label("Compare with", exact=True)).to_have_value("a bridge")
    page.reload()
    wait_for(page, scores)
    # By hand, the same request has the same address.
    says(page, image1="bee.jpg", image2="", text="a bee", **{"with": "a bridge"})
    page.get_by_label("Compare with", exact=True).fill("")
    says(page, text="a bee", **{"with": ""})


def test_going_back_goes_to_the_tab_before_and_what_it_was_about(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Text", exact=True).fill("blue whale")
    says(page, text="blue whale")
    page.get_by_role("tab", name="Zero-shot").click()
    page.get_by_role("button", name="animals").click()
    says(page, **{"tab": "zero-shot", "label-set": "animals"})
    page.go_back()
    says(page, tab="similarity", text="blue whale")
    expect(page.get_by_role("tab", name="Similarity")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Text", exact=True)).to_have_value("blue whale")
    page.go_forward()
    expect(page.get_by_role("tab", name="Zero-shot")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#zs-labels textarea")).to_have_value(re.compile("elephant"))


def test_language_and_look_are_in_it(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("中文", exact=True).check()
    says(page, lang="zh")
    page.locator("#theme-toggle").click()
    says(page, lang="zh", __theme="dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator("body")).to_have_class(re.compile("dark"))


def test_own_pictures_are_never_in_it_and_the_page_says_so(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    own = tmp_path / "bee.jpg"  # named like one that ships
    Image.new("RGB", (64, 64), "red").save(own)
    upload(page, 0, own)
    says(page, own="image1", image1="")
    page.locator("#link-button").click()
    expect(page.locator("#link-note")).to_contain_text(re.compile("not in it|does not let"))
    page.reload()
    expect(page.locator("#at-pictures")).to_contain_text("Add Image 1")


def test_mine_are_deleted_at_once_and_nobody_elses(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    own = tmp_path / "own-picture.png"
    Image.new("RGB", (64, 64), "blue").save(own)
    upload(page, 0, own)
    says(page, own="image1")
    sources = page.locator('[data-testid="image"] img')
    address = sources.first.get_attribute("src") or ""
    shipped = sources.nth(1).get_attribute("src") or ""
    assert page.request.get(address).ok
    expect(page.locator("#privacy")).to_be_hidden()
    page.locator("#privacy-button").click()
    expect(page.locator("#privacy")).to_contain_text("What becomes of your pictures")
    page.locator("#privacy-delete").click()
    says(page, own="")
    assert not page.request.get(address).ok
    assert page.request.get(shipped).ok
