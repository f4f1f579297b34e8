"""What the documents point at is there: every link, every anchor, every name of the code.

A link whose text is a name in backticks, to a source file, promises that the file defines the name
(``Class.method`` and all). In ``docs/architecture.md`` every path and dotted module in backticks
must exist as well, linked or not.
"""

import ast
import re
from pathlib import Path

import pytest

from signaling import config

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
DOCUMENTS = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")),
    ]
)
PACKAGES = ("signaling", "rooms", "sfu", "crm_core", "storage")
SOURCES = (".py", ".pyi", ".rs", ".ts", ".tsx")
PATH_ENDINGS = (*SOURCES, ".toml", ".md", ".css", ".html", ".js", ".txt", ".lock")

_FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[tuple[str, str]]:
    """(text, target) of every inline link."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """The anchors that a page of this Markdown has, as GitHub makes them from its headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        number = 0
        while (unique := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(unique)
    return found


def defines(source: str, ending: str, name: str) -> bool:
    """Whether a source file defines a name; the parts of ``Type.method`` one inside the other."""
    if ending in {".py", ".pyi"}:
        return _python_defines(ast.parse(source).body, name.split("."))
    return all(_pattern(ending, part).search(source) for part in name.split("."))


def _python_defines(body: list[ast.stmt], parts: list[str]) -> bool:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == parts[0]:
                return len(parts) == 1 or _python_defines(node.body, parts[1:])
            inside = isinstance(node, ast.ClassDef) and len(parts) == 1
            if inside and _python_defines(node.body, parts):
                return True
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = {target.id for target in targets if isinstance(target, ast.Name)}
            if parts[0] in named and len(parts) == 1:
                return True
    return False


def _pattern(ending: str, name: str) -> re.Pattern[str]:
    if ending == ".rs":
        return re.compile(rf"\b(fn|struct|enum|trait|mod|const|static|type) {name}\b")
    kinds = rf"\b(class|function|interface|type|const|let|enum) {name}\b"
    return re.compile(
        rf"{kinds}|^ +(?:async |readonly |static )*{name}(?:<[^>]*>)?\(", re.MULTILINE
    )


def broken_links(document: Path, root: Path = ROOT) -> list[str]:
    """What is wrong with the relative links of a document, one sentence each."""
    wrong = []
    text = document.read_text()
    for words, target in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.is_relative_to(root):
            wrong.append(f"{target} leads out of the repository")
        elif not file.exists():
            wrong.append(f"{target} is not there")
        elif anchor and (file.suffix != ".md" or anchor not in anchors(file.read_text())):
            wrong.append(f"{target} has no such heading")
        elif (code := _CODE.fullmatch(words)) and file.suffix in SOURCES:
            name = code[1]
            if _NAME.fullmatch(name) and not name.endswith(SOURCES):
                if not defines(file.read_text(), file.suffix, name):
                    wrong.append(f"{path} defines no {name}")
            elif not file.as_posix().endswith(name):
                wrong.append(f"{name} is not what {path} is called")
    return wrong


def missing_paths(text: str, root: Path = ROOT) -> list[str]:
    """Paths and dotted modules in backticks that are not in the repository."""
    wrong = []
    for code in _CODE.findall(prose(text)):
        if code.startswith("/") or not re.fullmatch(r"[\w./-]+", code):
            continue
        head = re.split(r"[./]", code)[0]
        if code.endswith(PATH_ENDINGS) or (
            "/" in code and (head in PACKAGES or (root / head).exists())
        ):
            if not (root / code).exists():
                wrong.append(code)
        elif head in PACKAGES and not _module_has(root, code.split(".")):
            wrong.append(code)
    return wrong


def _module_has(root: Path, parts: list[str]) -> bool:
    """Whether ``package.module.Name.method`` leads somewhere."""
    for length in range(len(parts), 0, -1):
        base = root.joinpath(*parts[:length])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.exists():
                rest = ".".join(parts[length:])
                return not rest or defines(file.read_text(), ".py", rest)
        if base.is_dir():
            return length == len(parts)
    return False


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_what_it_names(document):
    """A reader who follows a relative link finds the file, the heading and the name."""
    assert broken_links(document) == []


def test_every_path_of_the_architecture_exists():
    """Files and modules that the architecture speaks of are in the repository."""
    assert missing_paths(ARCHITECTURE.read_text()) == []


def test_the_architecture_leads_into_every_part():
    """It has links into each package, the engine, the web client and the tests."""
    targets = {target for _, target in links(ARCHITECTURE.read_text())}
    for part in (*PACKAGES, "engine", "web", "tests"):
        assert any(target.startswith(f"../{part}/") for target in targets), part


def test_every_word_of_the_glossary_is_used():
    """A word that the code does not use is not one of the project's words."""
    sources = [
        file.read_text()
        for folder in (*PACKAGES, "engine/core/src", "engine/net/src", "web/sdk/src")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in SOURCES
    ]
    used = {word for text in sources for word in re.findall(r"[a-z]+", text.lower())}
    terms = re.findall(r"^\| (.+?) \|", GLOSSARY.read_text(), re.MULTILINE)
    assert len(terms) > 100
    unused = [
        term
        for term in terms
        for word in re.findall(r"[a-z]+", term.lower())
        if word not in used and f"{word}s" not in used
    ]
    assert unused == []


def test_every_variable_of_the_documents_is_a_setting():
    """A variable that a document tells somebody to set is one that the program reads."""
    known = {f"{config.PREFIX}{key.upper()}" for key in config.describe()} | {"SUNUP_CONFIG"}
    for document in DOCUMENTS:
        named = set(re.findall(r"\bSUNUP_[A-Z][A-Z_]*[A-Z]", document.read_text()))
        assert named <= known, document.name


def test_the_settings_of_the_how_tos_can_be_used(tmp_path):
    """Who copies a settings file out of a how-to has one that loads."""
    blocks = [
        block
        for how_to in sorted((ROOT / "docs" / "howto").glob("*.md"))
        for block in re.findall(
            r"^```toml\n(.*?)^```", how_to.read_text(), re.DOTALL | re.MULTILINE
        )
    ]
    assert blocks
    for block in blocks:
        file = tmp_path / "sunup.toml"
        file.write_text(block)
        assert config.load(file, {}) != config.Config()


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("[gone](../rooms/gone.py)", "../rooms/gone.py is not there"),
        ("[out](../../../etc/passwd)", "../../../etc/passwd leads out of the repository"),
        ("[`Room.gone`](../rooms/room.py)", "../rooms/room.py defines no Room.gone"),
        ("[`Core.gone`](../engine/core.rs)", "../engine/core.rs defines no Core.gone"),
        ("[`gone`](../web/media.ts)", "../web/media.ts defines no gone"),
        ("[`roam.py`](../rooms/room.py)", "roam.py is not what ../rooms/room.py is called"),
        ("[below](#nowhere)", "#nowhere has no such heading"),
        ("[there](other.md#nowhere)", "other.md#nowhere has no such heading"),
    ],
)
def test_a_planted_mistake_is_found(tmp_path, written, complaint):
    """The rule has teeth: what leads nowhere is told by name, and what is right is not."""
    for name, source in {
        "rooms/room.py": "class Room:\n    def handle(self): ...\n\nLIMIT: int = 1\n",
        "engine/core.rs": "pub struct Core {}\nimpl Core { pub fn turn(&self) {} }\n",
        "web/media.ts": "export class Media {\n  async start(): Promise<void> {}\n}\n",
        "docs/other.md": "# The `other` one\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    right = (
        "# Here\n[a](#here) [b](other.md#the-other-one) [`Room.handle`](../rooms/room.py)\n"
        "[`LIMIT`](../rooms/room.py) [`handle`](../rooms/room.py) [`room.py`](../rooms/room.py)\n"
        "[`Core.turn`](../engine/core.rs) [`Media.start`](../web/media.ts) [c](https://x.example)\n"
        "```text\n[in a block](nowhere.md)\n```\n"
    )
    document = tmp_path / "docs" / "page.md"
    document.write_text(right)
    assert broken_links(document, tmp_path) == []
    document.write_text(f"{right}{written}\n")
    assert broken_links(document, tmp_path) == [complaint]


def test_a_planted_path_is_found():
    """A path or a module that does not exist is told; words of the protocol are not paths."""
    text = (
        "`rooms/room.py` `engine/core` `signaling.actor.RoomActor.perform` `room.end` `n/a` `/ws`"
    )
    assert missing_paths(text) == []
    wrong = ["rooms/roam.py", "engine/cone", "signaling.actor.RoomActor.gone", "sfu.gone", "x.toml"]
    assert missing_paths(" ".join(f"`{path}`" for path in wrong)) == wrong


def test_equal_headings_have_anchors_of_their_own():
    """The second of two equal headings is found by a number."""
    assert anchors("# One\n## Two `x.y`!\n## One\n") == {"one", "two-xy", "one-1"}
