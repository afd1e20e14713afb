"""A page of pictures: what it says without a script, and what its script does for keys, filters and many tiles."""

import io
import re

import pytest
from PIL import Image
from support.report_browser import CHROMIUM
from support.report_page import Page

from headstart.heads.report.picture_page import AT_ONCE, Picture, PicturePage, Tile, render_picture_page

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
HOSTILE = "</template><script>top.pwned = 1</script>"


def jpeg(grey=90):
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (grey, 90, 90)).save(file, "JPEG")
    return file.getvalue()


def tile(number, name="ant", **changes):
    one = Picture(path=f"new/{number:04}.jpg", thumbnail=jpeg(), lines=[name, "taken for a bee"], alt=name)
    return Tile(**{"pictures": [one], "data": {"class": name, "path": one.path}} | changes)


def page_of(tiles, **changes):
    return render_picture_page(
        PicturePage(eyebrow="Headstart", title="Pictures", intro="In order.", tiles=tiles, **changes)
    )


def write(folder, html):
    (folder / "page.html").write_text(html, encoding="utf-8")
    return folder / "page.html"


def test_captions_and_pictures_stand_in_the_page_itself():
    page = Page(page_of([tile(0), tile(1, pictures=[Picture(path="x.png", thumbnail=None)])]))
    assert "ant" in page.text
    assert "no thumbnail" in page.text
    (image,) = page.all("img")
    assert image["src"].startswith("data:image/jpeg;base64,")
    assert image["alt"] == "ant"
    assert [one["data-path"] for one in page.all("li") if "data-path" in one] == ["new/0000.jpg", "new/0001.jpg"]


def test_the_policy_allows_the_pages_own_script_and_no_other():
    html = page_of([tile(0)])
    policy = next(one["content"] for one in Page(html).all("meta") if "http-equiv" in one)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-[^']{44}'", policy
    )
    assert html == page_of([tile(0)])


def test_names_are_never_markup():
    hostile = Picture(path=HOSTILE, thumbnail=None, lines=[HOSTILE], alt=HOSTILE)
    html = page_of([Tile(pictures=[hostile], title=HOSTILE, data={"class": HOSTILE})], filters={"class": HOSTILE})
    assert html.count("<script") == 1
    assert "</template>" not in html.split("<script")[0]


def test_of_many_tiles_the_others_wait_where_no_browser_decodes_them():
    n_tiles = AT_ONCE["tiles"] + 30
    shown, waiting = page_of([tile(number) for number in range(n_tiles)]).split("<template")
    assert shown.count("<img") == AT_ONCE["tiles"]
    assert waiting.split("</template>")[0].count("<img") == 30
    assert "30 more need the script" in waiting


@in_browser
def test_pages_are_turned_by_keys_and_filters_reach_all_of_them(browser, tmp_path):
    at_once = AT_ONCE["tiles"]
    tiles = [tile(number, "bee" if number % 50 == 0 else "ant") for number in range(2 * at_once + 1)]
    browser.open(write(tmp_path, page_of(tiles, filters={"class": "Class"})))
    paths = "[...document.querySelectorAll('#tiles > li')].map(one => one.dataset.path)"
    assert len(browser.ask(paths)) == at_once
    assert browser.ask("find('picture-range').textContent") == f"1–{at_once} of {len(tiles)}"
    browser.focus("#page-after")
    browser.press("Enter")
    browser.press("Enter")
    assert browser.ask(paths) == [f"new/{2 * at_once:04}.jpg"]
    browser.press("Enter")  # there is no page behind the last
    assert browser.ask(paths) == [f"new/{2 * at_once:04}.jpg"]
    assert browser.ask("document.activeElement.id") == "page-after"
    browser.focus("[data-filter=class]")
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    assert browser.ask("document.activeElement.value") == "bee"
    assert browser.ask(paths) == [one.data["path"] for one in tiles if one.data["class"] == "bee"]
    assert browser.ask("find('pager').hidden")
    assert browser.complaints() == []


@in_browser
@pytest.mark.parametrize("layout", ["tiles", "pairs", "rows"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_at_any_width(browser, tmp_path, width, layout):
    long = Picture(path="x" * 300, thumbnail=jpeg(), lines=["y" * 300, "z" * 200], alt="")
    tiles = [Tile(pictures=[long, long], title="t" * 300, mark="wrong", data={"class": "c" * 300})] * 3
    browser.open(write(tmp_path, page_of(tiles, layout=layout, filters={"class": "n" * 90})), width=width)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.requests() == [(tmp_path / "page.html").as_uri()]
    assert browser.complaints() == []
