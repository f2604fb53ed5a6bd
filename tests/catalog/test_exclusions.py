"""Exclusions that hide what must be seen are refused; those that administrators need are not."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shieldwall.catalog.exclusions import faults
from shieldwall.catalog.globs import Glob
from shieldwall.catalog.model import Syntax


def codes(syntax: Syntax, text: str) -> set[str]:
    return {fault.code for fault in faults(syntax, text)}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "//",
            "/*",
            "/**",
            "/*/*",
            "/?*",
            "/***/",
            "/usr",
            "/u*",
            "/var",
            "/v?r",
            "/etc",
            "/opt",
            "/opt/*",
            "/home/",
        ),
        *(
            "/home",
            "/home/*",
            "/tmp",
            "/var/tmp",
            "/dev/shm",
            "/root",
            "/boot",
            "/lib",
            "/usr/lib",
            "/bin",
            "/usr/local",
        ),
        *(
            "/mnt",
            "/mnt/data",
            "/mnt/data/*",
            "/media/disk",
            "/media/user/disk",
            "/run/media/user/disk",
        ),
        *(
            "/usr/bin/python3",
            "/usr/bin/python3.11",
            "/bin/sh",
            "/bin/bash",
            "/usr/bin/perl",
            "/usr/bin/py*",
            "/usr/bin/*",
        ),
        *("/opt/app/bin/python3", "/usr/bin/p?rl", "/usr//bin//bash", "/usr/bin/perl5.36", "/usr/local/bin"),
        *(
            "/var/lib/shieldwall",
            "/var/lib/shieldwall/state",
            "/etc/shieldwall/",
            "/usr/bin/shieldwall-agent",
            "/var/lib",
        ),
        *("/var/lib/*/state", "/var/lib/shield*", "/opt/shieldwall/agent", "/run/shieldwall", "/usr/lib/shieldwall"),
        *(
            "/opt/microsoft/mdatp",
            "/opt/microsoft",
            "/var/opt/microsoft/mdatp/quarantine",
            "/var/lib/clamav",
            "/etc/clamav",
        ),
        *("/usr/sbin/clamd", "/usr/sbin/clam*", "/var/lib/clamav/quarantine"),
        *("/var/run/shieldwall", "/var/r?n/clamav/x", "/var/run", "/lib/shieldwall/x", "/bin/mdatp", "/sbin/clamd"),
        *("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux*", "/lib/ld-musl-x86_64.so.1"),
    ],
)
def test_a_path_that_hides_too_much_is_refused(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == {"dangerousExclusion"}


@pytest.mark.parametrize(
    "path",
    [
        *("*", "**", "srv/data", "./x", "~/x", "C:\\", "C:\\Windows", "/srv/../etc", "/srv/./x", "/..", "/srv/.."),
        *("/srv/%TEMP%/x", "/srv/$HOME", "/srv/${HOME}", "/srv/$(id)", "/" + "a" * 256, "/ab" * 1366, "/é" * 2000),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == {"invalidPath"}


@pytest.mark.parametrize(
    "path",
    [
        *("/srv/data", "/srv/data/", "/var/lib/postgresql", "/var/lib/docker/overlay2", "/var/log", "/var/log/*.log"),
        *("/home/*/.cache", "/home/build", "/data", "/mnt/data/db", "/opt/app", "/opt/app/bin/server", "/srv/php"),
        *("/var/cache/*", "/usr/share/doc", "/usr/bin/mysqld", "/tmp/build.sock", "/proc", "/srv/a..b", "/srv/100%"),
        *("/srv/[a]", "/opt/microsoft/msodbc", "/var/lib/shieldwalls", "/srv/it's here", "/srv/données"),
        *("/var/run/docker.sock", "/lib/modules", "/srv/l*", "/srv/*x*/ld", "/usr/lib/oracle"),
    ],
)
def test_a_path_that_administrators_need_is_taken(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == set()


@pytest.mark.parametrize(
    "path",
    [
        *("/home/?*", "/home/*?", "/tmp/?*/", "/h???/*?", "/root/?*", "/var/tmp/??*", "/dev/shm/*/?", "/usr/lib/???"),
        *("/m?t/disk", "/m*/d*", "/*/disk", "/mnt/disk/?*", "/medi?/user/disk", "/r?n/media/user"),
        *("/usr/bin/py*11", "/usr/b*/python3.11", "/usr/bi?/p?thon3.11", "/bin/p*.?", "/usr/*/perl5*0", "/bin/*3.11"),
        *("/usr/local/bin/pypy3.10", "/usr/bin/rbash"),
    ],
)
def test_a_wildcard_hides_as_much_as_the_names_it_stands_for(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == {"dangerousExclusion"}


@given(
    st.sampled_from(["/var/lib/shieldwall", "/etc/shieldwall", "/var/lib/clamav", "/opt/microsoft/mdatp"]),
    st.lists(st.text(alphabet="abc*?", min_size=1, max_size=6), max_size=4),
)
def test_nothing_inside_agent_or_engine_can_be_left_out(place: str, below: list[str]) -> None:
    assert codes(Syntax.EXCLUSION_PATH, "/".join([place, *below])) == {"dangerousExclusion"}


@given(st.sampled_from(["/var/lib/shieldwall/x", "/usr/bin/python3", "/opt/microsoft/mdatp/sbin/x"]), st.data())
def test_no_wildcard_gets_around(path: str, data: st.DataObject) -> None:
    segments = path.split("/")
    chosen = data.draw(st.integers(1, len(segments) - 1))
    name = segments[chosen]
    start = data.draw(st.integers(0, len(name)))
    end = data.draw(st.integers(start, len(name)))
    segments[chosen] = name[:start] + data.draw(st.sampled_from(["*", "?" * (end - start)])) + name[end:]

    assert codes(Syntax.EXCLUSION_PATH, "/".join(segments)) == {"dangerousExclusion"}


@pytest.mark.parametrize(
    "path", ["/*.log", "/var/*.db", "/var/lib/s*.db", "/opt/*.jar", "/opt/micro*.log", "/etc/?l*.conf"]
)
def test_a_star_at_the_end_of_a_path_reaches_into_folders_below(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == {"dangerousExclusion"}
    assert codes(Syntax.EXCLUSION_PATH, f"/srv{path}") == set()


@pytest.mark.parametrize("path", ["/usr/lib/*.so", "/tmp/*.sh", "/home/*.py", "/dev/shm/?*.elf"])
def test_all_programs_of_a_folder_cannot_be_left_out_where_the_folder_cannot(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == {"dangerousExclusion"}
    assert codes(Syntax.EXCLUSION_PATH, f"/srv{path}") == set()


def test_global_exclusions_take_no_wildcards() -> None:
    assert codes(Syntax.EXCLUSION_PATH_LITERAL, "/srv/*.log") == {"invalidPath"}
    assert codes(Syntax.EXCLUSION_PATH_LITERAL, "/srv/data") == set()
    assert codes(Syntax.EXCLUSION_PATH_LITERAL, "/") == {"dangerousExclusion"}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "*",
            "**",
            "?*",
            "?????",
            "python3",
            "python3.11",
            "python",
            "pyth*",
            "bash",
            "sh",
            "perl",
            "ruby3.1",
            "java",
        ),
        *(
            "/usr/bin/python3",
            "/opt/app/bin/node",
            "/bin/sh",
            "shieldwall-agent",
            "shield*",
            "mdatp",
            "wdavdaemon",
            "clamd",
        ),
        *("/opt/microsoft/mdatp/sbin/other", "/usr/bin/*", "p?thon3.11", "*3.11", "py*n3.1?", "p*5.36.0", "/srv/p?rl5"),
        *("/*", "/opt/*", "/usr/*", "/tmp/*", "/*/?*", "/opt/app/"),
        *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "pypy3", "deno"),
    ],
)
def test_a_process_that_hides_too_much_is_refused(name: str) -> None:
    assert codes(Syntax.EXCLUSION_PROCESS, name) == {"dangerousExclusion"}


@pytest.mark.parametrize(
    "name",
    [
        "cat",
        "c?t",
        "mysqld",
        "/usr/sbin/mysqld",
        "postgres",
        "my-agent",
        "nodetool",
        "shred",
        "*sqld",
        "/opt/app/bin/*",
    ],
)
def test_a_process_that_administrators_need_is_taken(name: str) -> None:
    assert codes(Syntax.EXCLUSION_PROCESS, name) == set()


def test_a_process_of_a_global_exclusion_is_named_in_full() -> None:
    assert codes(Syntax.EXCLUSION_PROCESS_PATH, "mysqld") == {"invalidPath"}
    assert codes(Syntax.EXCLUSION_PROCESS_PATH, "/usr/sbin/my*") == {"invalidPath"}
    assert codes(Syntax.EXCLUSION_PROCESS_PATH, "/usr/bin/python3") == {"dangerousExclusion"}
    assert codes(Syntax.EXCLUSION_PROCESS_PATH, "/usr/sbin/mysqld") == set()
    assert codes(Syntax.EXCLUSION_PROCESS, "bin/cat") == {"invalidPath"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, "dangerousExclusion") for text in ("*", "**", ".*", "?", ".", " ")),
        *((text, "invalidExtension") for text in ("a/b", "*.log", "lo?", "a b", "a\\b")),
        *((text, "dangerousExclusion") for text in ("so", ".SO", "sh", "py", "tar.sh", "ko")),
        *((text, None) for text in ("log", ".log", "tar.gz", "7z", "données")),
    ],
)
def test_extensions(text: str, expected: str | None) -> None:
    assert codes(Syntax.EXCLUSION_EXTENSION, text) == ({expected} if expected else set())


@given(st.text(max_size=100), st.sampled_from([syntax for syntax in Syntax if syntax.startswith("exclusion")]))
def test_any_text_gives_faults_and_never_an_error(text: str, syntax: Syntax) -> None:
    if not any("\ud800" <= character <= "\udfff" for character in text):  # refused before, as an invalid character
        assert all(fault.message for fault in faults(syntax, text))


@given(st.text(alphabet="ab*?/.", max_size=12), st.text(alphabet="ab/.\n", max_size=12))
@example("*a*a", "aa")
@example("*a*b*a*", "xabxa")
@example("*ab*ab", "abab")
def test_wildcards_mean_what_an_independent_matcher_says(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    "path", ["/" + "*a" * 120, "/" + "?*" * 120, "/" + "/".join(["*a*a*b"] * 600), "/" + "*" * 255]
)
def test_a_hostile_pattern_costs_next_to_nothing(path: str) -> None:
    before = time.process_time()
    for _ in range(20):
        list(faults(Syntax.EXCLUSION_PATH, path))

    assert (time.process_time() - before) / 20 < 0.05
