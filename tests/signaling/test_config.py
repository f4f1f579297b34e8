"""Settings: a file, variables that win, and one clear line for every mistake."""

import pathlib

import pytest

from signaling import config
from signaling.config import Config, load
from signaling.errors import ConfigError

ROOT = pathlib.Path(__file__).parents[2]


def test_without_anything_the_defaults_hold():
    """No file, no variables: the documented defaults."""
    settings = load(None, {"HOME": "/root"})
    assert settings == Config()
    assert (settings.port, settings.media_port, settings.data_dir) == (8080, 7882, "var")


def test_variables_win_over_the_file(tmp_path):
    """Numbers and lists are read from text."""
    file = tmp_path / "c.toml"
    file.write_text('port = 1\nhost = "0.0.0.0"\nannounced_addresses = ["10.0.0.1"]\n')
    settings = load(file, {"SUNUP_PORT": "9000", "SUNUP_ANNOUNCED_ADDRESSES": "1.2.3.4, ::1,"})
    assert (settings.port, settings.host) == (9000, "0.0.0.0")
    assert settings.announced_addresses == ("1.2.3.4", "::1")


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ("prot = 1", {}, "unknown key 'prot'; did you mean 'port'?"),
        ("zzzzzz = 1", {}, "unknown key 'zzzzzz'"),
        ("port = 'x'", {}, "^port: Expected `int`"),
        ("port = 70000", {}, "^port: Expected `int` <= 65535"),
        ("allowed_origins = [1]", {}, "^allowed_origins: Expected `str`"),
        ("base_url = 'https://x/path'", {}, "^base_url: "),
        ("log_level = 'loud'", {}, "^log_level: "),
        ("redis_url = 'http://x'", {}, "^redis_url: "),
        ("port = ", {}, "not TOML"),
        ("tls_key = 'k.pem'", {}, "together"),
        ("", {"SUNUP_PRT": "1"}, "unknown variable SUNUP_PRT; did you mean SUNUP_PORT?"),
        ("", {"SUNUP_PORT": "many"}, "SUNUP_PORT must be a number"),
        ("", {"SUNUP_LOG_FORMAT": "xml"}, "^SUNUP_LOG_FORMAT: "),
    ],
)
def test_every_mistake_is_one_line_that_names_it(tmp_path, text, environment, says):
    """The message says which key, and what it may be."""
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as error:
        load(file, environment)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    """A path that cannot be read is told."""
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "none.toml", {})


def test_variables_that_are_no_settings_are_left_alone():
    """The file's own variable and those of the tests are not settings."""
    variables = {"SUNUP_CONFIG": "x", "SUNUP_TEST_POSTGRES_URL": "y", "OTHER": "z"}
    assert load(None, variables) == Config()


def test_addresses_follow_from_the_settings():
    """Base URL, database and announced addresses have sensible values of their own."""
    assert load(None, {}).effective_base_url() == "http://127.0.0.1:8080"
    assert load(None, {"SUNUP_HOST": "0.0.0.0"}).effective_base_url(5) == "http://127.0.0.1:5"
    assert load(None, {"SUNUP_HOST": "::1"}).effective_base_url() == "http://[::1]:8080"
    secure = Config(tls_certificate="c", tls_key="k", host="meet.example", port=443)
    assert secure.effective_base_url() == "https://meet.example:443"
    assert Config(base_url="https://a.example").effective_base_url() == "https://a.example"
    assert Config().effective_database_url.startswith("sqlite:////")
    assert Config(database_url="postgresql://x").effective_database_url == "postgresql://x"
    assert Config().effective_announced_addresses()[0] == "127.0.0.1"
    assert Config(media_host="10.1.1.1").effective_announced_addresses() == ("10.1.1.1",)
    assert Config(announced_addresses=("8.8.8.8",)).effective_announced_addresses() == ("8.8.8.8",)


def test_the_sample_file_is_printed_from_the_code_and_can_be_loaded(tmp_path):
    """The file in deploy/ is current; with every line uncommented it gives the defaults."""
    sample = (ROOT / "deploy" / "config.sample.toml").read_text()
    assert sample == config.sample()
    lines = [line[1:] for line in sample.splitlines() if line.startswith("#") and line[1] != " "]
    file = tmp_path / "c.toml"
    file.write_text("\n".join(lines))
    assert len(lines) == len(Config.__struct_fields__)
    assert load(file, {}) == Config()


def test_the_reference_page_holds_the_current_table():
    """docs/reference/config.md is current, and every key says what it is for."""
    assert config.reference() in (ROOT / "docs" / "reference" / "config.md").read_text()
    for key, (description, _) in config.describe().items():
        assert len(description) > 10, key
