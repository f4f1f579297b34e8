"""Real browser offers and the labels that go with them, for the tests of this folder."""

import pathlib

DATA = pathlib.Path(__file__).parent / "data"


def load(name: str) -> str:
    """Return one stored offer with its CR LF line ends."""
    return (DATA / f"{name}.sdp").read_bytes().decode()


def labels(video: int) -> dict[str, str]:
    """Label the sections of a native client: three tracks, three lanes, `video` slots, a screen."""
    names = ["mic", "camera", "screen", "audio-0", "audio-1", "audio-2"]
    names += [f"video-{number}" for number in range(video)]
    return {str(mid): name for mid, name in enumerate([*names, "screen-0"])}


TRIMMED = load("chromium_trimmed_v8")
DEFAULT = load("chromium_default_v2_data")
