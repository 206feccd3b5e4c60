"""Opens a report as a reader would, on wide and narrow screens, light and dark, and prints it.

Usage: report.py FILE; what was seen goes to standard output as JSON.
"""

import base64
import json
import re
import sys

from browser import Browser

# What reaches over the right edge of the page; tables and the graph are moved sideways by themselves.
STICKS_OUT = """[...document.querySelectorAll('body *')].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width > 0 && box.right > innerWidth + 1 && !one.closest('.scroll, .graph, .skip');
}).map((one) => `${one.tagName} ${one.textContent.slice(0, 40)}`)"""

# Texts of charts that are cut off at an edge of their chart, or lie over each other.
CUT = """[...document.querySelectorAll('svg.plot')].filter((plot) => plot.getBoundingClientRect().width > 0).flatMap((plot) => {
    const frame = plot.getBoundingClientRect();
    const texts = [...plot.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
    const cut = texts.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 2 || box.bottom > frame.bottom + 2);
    const over = texts.flatMap(([name, a], place) => texts.slice(place + 1).filter(([, b]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4).map(([other]) => `${name} / ${other}`));
    return cut.map(([name]) => `cut: ${name}`).concat(over);
})"""


def main():
    seen = {"sticks_out": [], "cut": [], "mistakes": []}
    with Browser() as browser:
        for width in (400, 800, 1400):
            for dark in (False, True):
                page = browser.page(width=width, dark=dark)
                page.go(f"file://{sys.argv[1]}")
                wide = page.run("document.documentElement.scrollWidth - innerWidth")
                seen["sticks_out"] += page.run(STICKS_OUT) + ([f"{wide} pixels"] if wide > 0 else [])
                seen["cut"] += page.run(CUT)
                seen["mistakes"] += page.mistakes()
                ground = page.run("getComputedStyle(document.body).backgroundColor")
                seen["dark" if dark else "light"] = sum(map(int, re.findall(r"\\d+", ground)[:3]))
        page = browser.page(width=1400)
        page.go(f"file://{sys.argv[1]}")
        seen["loaded"] = page.run("performance.getEntriesByType('resource').map((one) => one.name).filter((name) => !name.startsWith('data:'))")
        seen["scripts"] = page.run("document.scripts.length")
        seen["headings"] = page.run("[...document.querySelectorAll('h1, h2')].map((one) => one.textContent)")
        seen["unnamed"] = page.run("[...document.querySelectorAll('svg')].filter((one) => !one.closest('[aria-hidden=true]') && "
                                   "one.getAttribute('aria-hidden') !== 'true' && !one.getAttribute('aria-label') && !one.querySelector('title')).length")
        seen["links"] = page.run("[...document.querySelectorAll('nav a')].every((one) => document.querySelector(one.getAttribute('href')))")
        # The first stop of the keyboard leads past the contents; details open with Enter.
        page.press("Tab")
        seen["first_stop"] = page.run("document.activeElement.textContent")
        page.run("document.querySelector('#parameters summary').focus()")
        page.press("Enter")
        seen["opens"] = page.run("document.querySelector('#parameters details').open")
        seen["parameters_shown"] = page.run("document.querySelector('#parameters details').innerText")
        printed = page.call("Page.printToPDF", preferCSSPageSize=True)
        pdf = base64.b64decode(printed["data"])
        seen["pdf"] = pdf[:5].decode()
        seen["sheets"] = len(re.findall(rb"/Type\\s*/Page[^s]", pdf))
        page.call("Emulation.setEmulatedMedia", media="print")
        seen["printed_parameters"] = page.run("[...document.querySelectorAll('#parameters pre')].filter((one) => one.checkVisibility({contentVisibilityAuto: true}) && one.getBoundingClientRect().height > 0).length")
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
