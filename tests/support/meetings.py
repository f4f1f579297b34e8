"""Meetings for browser tests: a fresh appointment by REST, people who are let in, axe on a page."""

import datetime as dt
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from playwright.async_api import Browser, Page, expect

from .person import Look, Person
from .server import ROOT, Server

_AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
ROOM_STATE = "data-room-state"


@dataclass(frozen=True)
class Links:
    """The two links of one appointment, and the id of its room."""

    host: str
    guest: str
    room: str


_booked = itertools.count()


async def book(server: Server, title: str = "Roof review") -> Links:
    """Book a video appointment of the one consultant; doors open a quarter of an hour early.

    Each booking takes the next minute, as nobody can be booked twice at a time.
    """
    start = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=next(_booked) % 14)
    body = {
        "title": title,
        "starts_at": start.isoformat(),
        "ends_at": (start + dt.timedelta(seconds=40)).isoformat(),
        "location_kind": "video",
    }
    headers = {"Authorization": f"Bearer {server.dev['api_key']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        person = {"first_name": "Jane", "last_name": "Doe"}
        async with session.post(f"{server.url}/v1/people", json=person) as answer:
            assert answer.status == 201, await answer.text()
            body["person_id"] = (await answer.json())["id"]
        async with session.post(f"{server.url}/v1/appointments", json=body) as answer:
            assert answer.status == 201, await answer.text()
            made = await answer.json()
    return Links(made["host_url"], made["guest_url"], made["video_room_id"])


async def shows(person: Person, state: str, *, timeout: float = 20) -> None:
    """Wait until the page is in this state."""
    html = person.page.locator("html")
    await expect(html).to_have_attribute(ROOM_STATE, state, timeout=timeout * 1000)


async def meet(browser: Browser, links: Links, host: Look, *guests: Look) -> list[Person]:
    """Everybody in one room, with microphone and camera on."""
    first = await Person.arrive(browser, host)
    await first.join(links.host)
    await first.in_the_room()
    people = [first]
    for look in guests:
        guest = await Person.arrive(browser, look)
        await guest.join(links.guest)
        await first.press(f"Admit {look.name}")
        await guest.in_the_room()
        people.append(guest)
    return people


_COVERED = """() => {
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
  const toasts = shown("[data-region=toasts] li").map((toast) => toast.getBoundingClientRect());
  const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return shown("button, input, textarea, select, [role=tab]")
    .filter((control) => !control.closest("[data-region=toasts]"))
    .filter((control) => toasts.some((toast) => over(toast, control.getBoundingClientRect())))
    .map((control) => control.ariaLabel || control.textContent);
}"""


async def covered(person: Person) -> list[str]:
    """The controls on which a note lies."""
    return await person.page.evaluate(_COVERED)


_IN_BOTH_THEMES = """async () => {
  // What passed is not told: describing it is most of the work.
  const violations = async (options) =>
    (await axe.run(document, { resultTypes: ["violations"], ...options })).violations;
  const html = document.documentElement;
  const wear = (theme) => {
    html.dataset.theme = theme;
    const changes = document.getAnimations().filter((found) => found instanceof CSSTransition);
    for (const change of changes) change.finish();
  };
  const worn = html.dataset.theme;
  const other = worn === "dark" ? "light" : "dark";
  const found = { [worn]: await violations({}) };
  wear(other);
  found[other] = await violations({ runOnly: ["color-contrast"] });
  wear(worn);
  return found;
}"""


def no_complaints(*people: Person) -> None:
    """No page broke its Content-Security-Policy, threw, or logged an error."""
    for person in people:
        bad = [line for line in person.console if line.startswith(("error", "pageerror"))]
        assert not bad, f"{person.look.name}: {bad}"


async def axe(page: Page, what: str) -> None:
    """Assert that axe-core finds nothing on the page as it is, nor in the theme it does not wear.

    Themes differ in colours alone, so the other one is asked about contrasts only. The page's
    policy forbids strangers' scripts, so axe comes in by the debugger's door.
    """
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(_AXE.read_text())
    found = await page.evaluate(_IN_BOTH_THEMES)
    told = [
        {
            "theme": theme,
            "rule": violation["id"],
            "nodes": [(n["html"][:160], n["failureSummary"]) for n in violation["nodes"]],
        }
        for theme, violations in found.items()
        for violation in violations
    ]
    assert not told, f"{what}: {json.dumps(told, indent=1)}"


def built() -> Path:
    """The folder of the built pages.

    Raises:
        FileNotFoundError: They are not built; the message says how.
    """
    dist = ROOT / "web/dist"
    if not (dist / "meet.html").exists():
        raise FileNotFoundError("web/dist is missing: npm run build in web/")
    return dist
