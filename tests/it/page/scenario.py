"""Goes through the page of a running service as a person would, and says what it saw as JSON.

    scenario.py URL USER FOLDER

`USER` has a precomputed list and no events. Pictures of every view, light and dark, wide and as narrow as a
telephone, are left in `FOLDER`.
"""

import json
import os
import sys

from browser import Browser

TEXTS = "Array.from(document.querySelectorAll(%s), (one) => one.textContent.trim())"
READY = "document.querySelectorAll('#lists .list').length >= %d"


def texts(page, selector):
    return page.run(TEXTS % json.dumps(selector))


def search(page, words):
    """Types words into the search as a keyboard does, and waits for what is offered."""
    page.run("document.activeElement.blur(); document.getElementById('found').replaceChildren()")
    page.press("/", "/")
    page.wait("document.activeElement.id === 'q'")
    page.type(words)
    page.wait("document.querySelector('#found [role=option], #found .empty')")
    return texts(page, "#found [role=option]")


def explore(page, url, user):
    seen = {}
    page.go(url)
    page.wait(READY % 2)
    seen["alone"] = texts(page, "#lists .list > h3")
    seen["offered_users"] = search(page, user)
    page.press("Enter")
    page.wait(f"location.hash === '#explore?user={user}' && " + READY % 5)
    page.wait("document.getElementById('case').textContent !== ''")
    seen["columns"] = texts(page, "#lists .list > h3")
    seen["case_before"] = texts(page, "#case")[0]
    seen["blend_before"] = texts(page, ".list.blend .track b")
    seen["popular"] = texts(page, ".list.popular .track b")
    name = seen["popular"][0]
    seen["told"] = []
    # An event changes the case when something is similar to its track.
    for n in range(1, 7):
        page.run(f"document.querySelector('.list.popular li:nth-child({n}) .add').focus()")
        page.press("Enter")
        page.wait(f"document.querySelectorAll('#events .chip').length === {n} && document.getElementById('told').textContent")
        seen["told"] += texts(page, "#told")
        if texts(page, "#case")[0] != seen["case_before"]:
            break
        page.run("document.getElementById('told').textContent = ''")
    seen["case_after"] = texts(page, "#case")[0]
    seen["events"] = texts(page, "#events li")
    seen["blend_after"] = texts(page, ".list.blend .track b")
    seen["marked_new"] = texts(page, ".list.blend li.new .track b")
    seen["offered_tracks"] = search(page, name.lower())
    page.press("ArrowDown")
    page.press("ArrowUp")
    page.press("Enter")
    page.wait("location.hash.includes('track=')")
    page.press("Escape")
    return seen


def others(page, url):
    page.go(f"{url}/#pipeline")
    page.wait("document.querySelector('#pipeline-body img, #pipeline-body .empty')")
    steps = texts(page, "#pipeline-body tbody tr td:first-child")
    page.go(f"{url}/#models")
    page.wait("document.querySelector('#models-body .chart, #models-body .empty')")
    models = texts(page, "#models-body tbody tr td:first-child")
    pictures = page.run("Array.from(document.querySelectorAll('.pictures img'), (one) => one.alt)")
    return {"steps": steps, "models": models, "pictures": pictures}


def documentation(page, url):
    page.go(f"{url}/docs")
    page.wait("document.querySelectorAll('.opblock').length > 20")
    return texts(page, ".opblock-summary-path")


def pictures(browser, url, user, folder):
    wide = 0
    for dark in (False, True):
        for name, width in (("wide", 1440), ("phone", 390)):
            page = browser.page(width=width, dark=dark)
            for view in (f"explore?user={user}", "explore", "pipeline", "models"):
                page.go("about:blank#")
                page.call("Page.navigate", url=f"{url}/#{view}")
                ready = {"pipeline": "document.querySelector('#pipeline-body > *')", "models": "document.querySelector('#models-body > *')"}
                page.wait(ready.get(view, READY % (5 if "user" in view else 2)))
                page.run("Promise.all(Array.from(document.images, (one) => one.decode().catch(() => 0)))")
                shade = "dark" if dark else "light"
                page.picture(os.path.join(folder, f"{view.split('?')[0]}{'-user' if 'user' in view else ''}-{name}-{shade}.png"))
                # Nothing may stick out of the page to the side.
                wide = max(wide, page.run("document.documentElement.scrollWidth - innerWidth"))
    return wide


def main():
    url, user, folder = sys.argv[1:]
    with Browser() as browser:
        page = browser.page()
        seen = explore(page, url, user)
        seen |= others(page, url)
        seen["mistakes"] = page.mistakes()
        page = browser.page()
        seen["documented"] = documentation(page, url)
        seen["documentation_mistakes"] = page.mistakes()
        seen["sticks_out"] = pictures(browser, url, user, folder)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
