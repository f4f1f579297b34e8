"""A person at a browser: what a script does that knows only the accessible names.

Every lookup goes by role and name, as docs and accessibility tools see the page; nothing here
knows the app's classes or its state. Media is synthetic (``synthetic_media.js``): one colour, one
tone per person.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from .wait import until

SCRIPT = (Path(__file__).parent / "synthetic_media.js").read_text()
PATIENCE = 30.0
"""Seconds after which something does not happen any more, on however busy a machine."""


@dataclass(frozen=True)
class Look:
    """How a person can be recognised in the media: colours as #rrggbb, the tone in hertz."""

    name: str
    camera: str
    screen: str
    tone: int

    def colour(self, source: str = "camera") -> tuple[int, int, int]:
        """The red, green and blue that a receiver should see."""
        value = (self.camera if source == "camera" else self.screen).lstrip("#")
        return int(value[0:2], 16), int(value[2:4], 16), int(value[4:6], 16)


ANA = Look("Ana Diaz", "#c02020", "#604000", 700)
JANE = Look("Jane Doe", "#20a020", "#406000", 1300)
KIM = Look("Kim Park", "#2040c0", "#004060", 2100)


class Person:
    """One browser context with one page (more tabs by `tab`)."""

    def __init__(self, look: Look, context: BrowserContext, page: Page) -> None:
        self.look = look
        self.context = context
        self.page = page
        self.console: list[str] = []
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))

    @classmethod
    async def arrive(
        cls, browser: Browser, look: Look, *, relay_port: int | None = None
    ) -> "Person":
        """A fresh browser profile with this person's camera, screen and microphone."""
        context = await browser.new_context(permissions=["camera", "microphone"])
        parameters = {"camera": look.camera, "screen": look.screen, "tone": look.tone}
        if relay_port:
            parameters["relayPort"] = relay_port
        await context.add_init_script(f"const SYNTHETIC = {json.dumps(parameters)};\n{SCRIPT}")
        return cls(look, context, await context.new_page())

    async def tab(self) -> "Person":
        """The same person in a second tab of the same browser profile."""
        return Person(self.look, self.context, await self.context.new_page())

    async def close(self) -> None:
        """Close the browser profile."""
        await self.context.close()

    # what a person does ------------------------------------------------------------------------

    async def open(self, url: str) -> None:
        """Open a link and enter a name where the page asks for one."""
        await self.page.goto(url)
        box = self.page.get_by_role("textbox", name="Your name")
        await expect(box).to_be_visible(timeout=PATIENCE * 1000)
        await box.fill(self.look.name)

    def button(self, name: str) -> Locator:
        """The button of exactly this accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def press(self, name: str, *, timeout: float = PATIENCE) -> None:
        """Press a button when it can be pressed."""
        await self.button(name).first.click(timeout=timeout * 1000)

    async def devices_on(self) -> None:
        """Turn microphone and camera on before joining, if they are off."""
        for name in ("Unmute", "Turn camera on"):
            if await self.button(name).count():
                await self.press(name)

    async def join(self, url: str) -> None:
        """Open, turn the devices on and join, or ask to where the link leads to a waiting room."""
        await self.open(url)
        await self.enter()

    async def enter(self) -> None:
        """From the page before the meeting into it."""
        await self.devices_on()
        await self._way_in.first.click(timeout=PATIENCE * 1000)

    @property
    def _way_in(self) -> Locator:
        return self.button("Join now").or_(self.button("Ask to join"))

    async def rejoin(self) -> None:
        """Come back from the card that says one has left, over the page before the meeting or not."""
        await self.press("Rejoin")
        toolbar = self.page.get_by_role("toolbar", name="Meeting controls")
        await expect(toolbar.or_(self._way_in).first).to_be_visible(timeout=PATIENCE * 1000)
        if await self._way_in.count():
            await self.enter()
        await self.in_the_room()
        await self.devices_on()

    async def in_the_room(self, *, timeout: float = PATIENCE) -> None:
        """Wait until the meeting is on the screen."""
        await expect(self.page.get_by_role("toolbar", name="Meeting controls")).to_be_visible(
            timeout=timeout * 1000
        )

    async def leave(self, item: str = "Leave meeting") -> None:
        """Leave by the toolbar; hosts get a menu, anybody else is out at once."""
        await self.press("Leave")
        entry = self.page.get_by_role("menuitem", name=item)
        out = self.button("Rejoin")
        await expect(entry.or_(out).first).to_be_visible(timeout=PATIENCE * 1000)
        if not await out.count():
            await entry.click()

    # what a person sees and hears ----------------------------------------------------------------

    async def ask(self, expression: str, *arguments: Any) -> Any:
        """Evaluate a function of the injected script."""
        return await self.page.evaluate(f"(a) => window.__synthetic.{expression}(...a)", arguments)

    async def tile(self, name: str) -> dict[str, Any] | None:
        """The tile that bears this name: frames, colour, width, participant; None if there is none."""
        return await self.ask("tile", name)

    async def sees(self, other: Look, source: str = "camera", *, timeout: float = PATIENCE) -> None:
        """Wait until the tile with the other's name shows the other's colour and goes on moving."""
        before = None
        seen: Any = None

        async def shown() -> bool:
            nonlocal before, seen
            seen = await self.tile(other.name)
            if not seen or not seen["colour"]:
                return False
            wanted = other.colour(source)
            near = all(abs(a - b) <= 40 for a, b in zip(seen["colour"], wanted, strict=True))
            if not near:
                before = None
                return False
            before = seen["frames"] if before is None else before
            return seen["frames"] > before + 3

        try:
            await until(shown, timeout=timeout, every=0.1)
        except TimeoutError:
            raise AssertionError(
                f"{self.look.name} does not see {other.name} ({source}): {seen}\n"
                + "\n".join(self.console[-20:])
            ) from None

    async def hears(self, other: Look, *, timeout: float = PATIENCE) -> None:
        """Wait until the other's tone stands out of this page's sound."""
        await self._sound(other, heard=True, timeout=timeout)

    async def hears_not(self, other: Look, *, timeout: float = PATIENCE) -> None:
        """Wait until the other's tone is gone."""
        await self._sound(other, heard=False, timeout=timeout)

    async def listen(self, other: Look) -> None:
        """Note from now on, by this page's clock, whether the other's tone is heard."""
        await self.ask("listen", _around(other))

    async def silent_since(self, other: Look, *, timeout: float = PATIENCE) -> float:
        """Unix time at which the tone that `listen` waits for was last heard; it is quiet by now."""
        last = 0.0

        async def quiet() -> bool:
            nonlocal last
            heard = await self.page.evaluate("() => window.__synthetic.heard")
            last = max((at for at, *levels in heard if _stands_out(*levels)), default=0.0)
            return bool(heard) and heard[-1][0] - last > 300

        await until(quiet, timeout=timeout, every=0.05)
        assert last, f"{self.look.name} never heard {other.name}"
        return last / 1000

    async def clicked_at(self) -> float:
        """Unix time of the last click on this page."""
        return await self.page.evaluate("() => window.__synthetic.clickedAt / 1000")

    async def _sound(self, other: Look, *, heard: bool, timeout: float) -> None:
        levels: list[float] = []

        async def as_wanted() -> bool:
            nonlocal levels
            levels = await self.ask("hear", _around(other))
            return _stands_out(*levels) is heard

        try:
            await until(as_wanted, timeout=timeout, every=0.05)
        except TimeoutError:
            word = "does not hear" if heard else "still hears"
            raise AssertionError(f"{self.look.name} {word} {other.name}: {levels} dB") from None

    async def peer_connections(self) -> int:
        """How many peer connections this page has made."""
        return await self.page.evaluate("() => window.__synthetic.peerConnections.length")

    async def remote_port(self) -> int | None:
        """The remote UDP port of the selected candidate pair."""
        pair = await self.page.evaluate("() => window.__synthetic.selectedPair()")
        return pair and pair["remotePort"]


def _around(look: Look) -> list[int]:
    """The frequencies to look at: the tone, and two at which nobody speaks."""
    return [look.tone, look.tone + 170, 3700]


def _stands_out(level: float, *floor: float) -> bool:
    """Whether a tone is heard over this page's noise floor, in dB."""
    return level > -70 and level > max(floor) + 12
