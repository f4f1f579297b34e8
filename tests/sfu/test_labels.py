"""The client's words for its m-sections."""

import pytest

from sfu.labels import SlotLabel, TrackLabel, parse_label


@pytest.mark.parametrize("text", ["mic", "camera", "screen", "audio-0", "video-24", "screen-0"])
def test_labels_are_read_and_printed_alike(text: str) -> None:
    """A label prints as it was read."""
    assert str(parse_label(text)) == text


def test_kinds_follow_from_the_words() -> None:
    """A microphone is audio, a camera video, a shared screen a kind of its own."""
    assert [TrackLabel(name).kind for name in ("mic", "camera", "screen")] == [
        "audio",
        "video",
        "screen",
    ]
    assert parse_label("video-3") == SlotLabel("video", 3)


@pytest.mark.parametrize(
    "text", ["", "Mic", "video", "video-", "video-01", "video-100", "video-٣", "tap-1"]
)
def test_other_words_are_refused(text: str) -> None:
    """What is no label raises ValueError."""
    with pytest.raises(ValueError, match="not a label"):
        parse_label(text)
