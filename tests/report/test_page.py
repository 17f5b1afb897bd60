"""The page as a browser shows it."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from isp_meta import embed
from isp_meta.comparison import EDITS
from isp_meta.report import write_report


def pixels(page, name):
    """(h, w, 3) of a canvas, 0 to 255."""
    uri = page.evaluate("id => document.getElementById(id).toDataURL()", name)
    with Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"), float)


def expose(page, stops):
    page.locator("#exposure").fill(str(stops))
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def linear(codes):
    value = codes / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def test_renders_in_silence_and_asks_for_nothing(report, open_page):
    opened = open_page(report)
    page = opened.page
    for name in ("Highlights", "Shadows", "Whole picture", "Side by side", "Split"):
        page.get_by_label(name, exact=True).check()
        expose(page, -1)
    assert page.locator("img:visible").count() == 3 + 3 * len(EDITS)
    broken = "Array.from(document.images).filter(i => !i.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert opened.said == []
    assert opened.elsewhere() == []
    assert page.title() == "photo.jpg – isp_meta report"
    assert "320 × 240" in page.locator(".headline").inner_text()


def test_the_policy_lets_nothing_out(report, open_page):
    page = open_page(report).page
    tried = page.evaluate("""async () => {
      const broken = [];
      document.addEventListener("securitypolicyviolation", e => broken.push(e.violatedDirective));
      await fetch("http://127.0.0.1:9/").catch(() => {});
      const image = new Image();
      await new Promise(done => { image.onerror = done; image.src = "http://127.0.0.1:9/a.png"; });
      const script = document.createElement("script");
      script.textContent = "window.intruder = true";
      document.body.append(script);
      await new Promise(done => setTimeout(done, 50));
      return [broken, Boolean(window.intruder)];
    }""")
    assert tried[1] is False
    assert {name.partition("-")[0] for name in tried[0]} == {"connect", "img", "script"}


def test_the_raw_looks_like_the_picture_until_it_is_darkened(report, open_page):
    page = open_page(report).page
    alike = np.abs(pixels(page, "raw") - pixels(page, "jpeg"))
    assert np.median(alike) < 6
    expose(page, -2)
    raw, jpeg = pixels(page, "raw"), pixels(page, "jpeg")
    burnt = jpeg.min(-1) == jpeg.max()
    assert burnt.mean() > 0.02
    # White is two stops darker, and the raw knows what was behind it.
    assert linear(jpeg.max()) == pytest.approx(0.25, abs=0.005)
    assert raw[burnt].std() > 3 * jpeg[burnt].std()
    assert raw[burnt].mean() > jpeg[burnt].mean()


def test_exposure_multiplies_light(report, open_page):
    page = open_page(report).page
    views = json.loads(page.locator("#data").text_content())
    page.get_by_label("Highlights", exact=True).check()
    page.wait_for_selector("#viewer[data-view='1']", state="attached")
    expose(page, 0)
    before = pixels(page, "jpeg")
    assert before.shape == (views[1]["height"], views[1]["width"], 3)
    for stops in (-4, -1.5, 0, 2, 4):
        expose(page, stops)
        wanted = (linear(before) * 2.0**stops).clip(0, 1)
        encoded = np.where(wanted <= 0.0031308, 12.92 * wanted, 1.055 * wanted ** (1 / 2.4) - 0.055)
        assert np.abs(pixels(page, "jpeg") - 255 * encoded).max() < 0.51


def test_keyboard_and_screen_reader(report, open_page):
    page = open_page(report).page
    exposure = page.get_by_label("Exposure", exact=True)
    exposure.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert exposure.get_attribute("aria-valuetext") == "0.2 stops darker"
    assert page.locator("output").inner_text() == "\N{MINUS SIGN}0.2 EV"
    page.keyboard.press("End")
    assert exposure.get_attribute("aria-valuetext") == "4.0 stops brighter"
    page.get_by_role("button", name="Reset").press("Enter")
    assert exposure.get_attribute("aria-valuetext") == "as exposed"
    border = page.get_by_role("slider", name=re.compile("Border between"))
    border.focus()
    page.keyboard.press("ArrowRight")
    assert border.get_attribute("aria-valuetext") == "51 % picture"
    assert page.evaluate("getComputedStyle(document.querySelector('.stage')).outlineStyle") == (
        "solid"
    )
    page.get_by_label("Split", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer").get_attribute("data-layout") == "side"
    unnamed = """Array.from(document.querySelectorAll("img, canvas, svg, input, button"))
      .filter(e => !(e.alt || e.ariaLabel || e.labels?.length || e.textContent.trim()
        || e.getAttribute("aria-labelledby"))).length"""
    assert page.evaluate(unnamed) == 0
    assert [page.locator(f"h{level}").count() for level in (1, 2)] == [1, 6]


def test_the_border_follows_the_pointer(report, open_page):
    page = open_page(report).page
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    assert page.locator("#split").input_value() == "25"
    page.mouse.move(box["x"] - 50, middle)
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"], middle)
    assert page.locator("#split").input_value() == "0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone(report, open_page, scheme):
    page = open_page(report, 360, 740, color_scheme=scheme, reduced_motion="reduce").page
    for layout in ("Side by side", "Split"):
        page.get_by_label(layout, exact=True).check()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(CONTRAST) >= 4.5


CONTRAST = """() => {
  const light = color => {
    const [r, g, b] = color.match(/[0-9.]+/g).slice(0, 3).map(v => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (!/, 0\\)$/.test(color) && color !== "transparent") return light(color);
    }
  };
  const texts = document.querySelectorAll("p, h1, h2, li span, strong, label span, td, th, button");
  return Math.min(...Array.from(texts).map(node => {
    const [low, high] = [light(getComputedStyle(node).color), behind(node)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }));
}"""


def test_without_scripts_the_pictures_are_there(report, open_page):
    opened = open_page(report, java_script_enabled=False)
    page = opened.page
    assert page.locator("#picture").is_visible()
    assert page.get_by_alt_text("two stops darker").is_visible()
    assert not page.locator("#exposure").is_visible()
    assert not page.locator("canvas").first.is_visible()
    assert page.locator("noscript p").is_visible()
    assert opened.elsewhere() == []


def test_what_strangers_name_their_camera_stays_text(make_frame, tmp_path, open_page):
    evil = "</title></script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    camera = {"make": evil, "model": "$style \u202e & \"'", "exif": {"Software": evil, evil: "1"}}
    frame = make_frame(40, 48, **camera)
    photo = tmp_path / "<img src=x onerror=alert(1)>&amp;$name.jpg"
    embed(frame, photo)
    page = tmp_path / "report.html"
    write_report(photo, page)
    opened = open_page(page)
    assert opened.said == []
    assert opened.elsewhere() == []
    assert opened.page.title().startswith("<img src=x onerror=alert(1)>&amp;$name.jpg")
    assert opened.page.locator("h1").inner_text() == photo.name
    assert opened.page.locator("script").count() == 2
    cells = opened.page.locator("td").all_inner_texts()
    assert evil in cells
    assert "$style \N{REPLACEMENT CHARACTER} & \"'" in cells


def test_one_pixel(tmp_path, make_frame, open_page):
    frame = make_frame(1, 1)
    embed(frame, tmp_path / "one.jpg")
    write_report(tmp_path / "one.jpg", tmp_path / "one.html")
    opened = open_page(tmp_path / "one.html", 360, 740)
    for name in ("Highlights", "Shadows", "Whole picture"):
        opened.page.get_by_label(name, exact=True).check()
    assert pixels(opened.page, "raw").shape == (1, 1, 3)
    assert opened.said == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 360
