"""The files around the code: what deploys it, pins it and builds it."""

from __future__ import annotations

import ast
import graphlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from canvas_app.settings import Settings
from tests.support.postgres import free_port

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {name.upper() for name, field in Settings.model_fields.items() if not field.exclude}
# Heroku's add-on sets the first; the second is for the sandbox.
NOT_FOR_USERS = {"DATABASE_URL", "INTERCOM_API_URL"}
# Not ours: Heroku's buildpack and gunicorn read it.
PLATFORM = {"WEB_CONCURRENCY"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


class TestAppJson:
    @pytest.fixture
    def app_json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(read("app.json"))
        return content

    def test_names_exactly_the_settings_a_user_may_set(self, app_json: dict[str, Any]) -> None:
        assert set(app_json["env"]) - PLATFORM == SETTINGS - NOT_FOR_USERS

    def test_describes_each_setting(self, app_json: dict[str, Any]) -> None:
        for name, entry in app_json["env"].items():
            assert len(entry["description"]) > 30, name
            assert set(entry) <= {"description", "generator", "required", "value"}, name

    def test_asks_for_nothing_that_only_a_running_app_can_be_given(self, app_json: dict[str, Any]) -> None:
        generated = {name for name, entry in app_json["env"].items() if entry.get("generator") == "secret"}
        assert generated == {"SECRET_KEY", "API_TOKEN"}
        for name, entry in app_json["env"].items():
            assert name in generated or entry["required"] is False, name

    def test_its_values_are_valid(self, app_json: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        for name in SETTINGS:
            monkeypatch.delenv(name, raising=False)
        for name, entry in app_json["env"].items():
            monkeypatch.setenv(name, entry.get("value", ""))
        assert Settings.load({}).intercom_region == "us"

    def test_starts_every_process_with_a_database(self, app_json: dict[str, Any]) -> None:
        # https://devcenter.heroku.com/articles/app-json-schema
        assert set(app_json["formation"]) == {"web", "worker"}
        assert all(process["quantity"] == 1 for process in app_json["formation"].values())
        assert [addon["plan"] for addon in app_json["addons"]] == ["heroku-postgresql:essential-0"]
        assert app_json["stack"] == "heroku-24"
        assert app_json["success_url"] == "/"


def test_procfile_starts_the_three_processes() -> None:
    processes = dict(line.split(": ", 1) for line in read("Procfile").splitlines())
    assert {name: shlex.split(command) for name, command in processes.items()} == {
        "release": ["python", "-m", "canvas_app", "release"],
        "web": ["gunicorn", "-c", "gunicorn.conf.py", "canvas_app:create_app()"],
        "worker": ["python", "-m", "canvas_app", "worker"],
    }


class TestRequirements:
    @staticmethod
    def pins(name: str) -> dict[str, str]:
        lines = read(name).replace("\\\n", " ").splitlines()
        found: dict[str, str] = {}
        for line in lines:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = re.fullmatch(r"([a-z0-9-]+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})+) *", line)
            assert match, f"{name}: not a hashed pin: {line[:80]}"
            found[match[1]] = match[2]
        return found

    @staticmethod
    def normal(requirement: str) -> str:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name
        return re.sub(r"[-_.]+", "-", name[0]).lower()

    def test_everything_asked_for_is_pinned(self) -> None:
        project = tomllib.loads(read("pyproject.toml"))["project"]
        assert {self.normal(name) for name in project["dependencies"]} <= set(self.pins("requirements.txt"))
        for extra, names in project["optional-dependencies"].items():
            assert {self.normal(name) for name in names} <= set(self.pins(f"requirements-{extra}.txt"))

    def test_tests_run_with_the_versions_of_production(self) -> None:
        runtime, dev = self.pins("requirements.txt"), self.pins("requirements-dev.txt")
        assert {name: dev.get(name) for name in runtime} == runtime

    def test_what_mutation_testing_installs_changes_no_other_version(self) -> None:
        dev, mutation = self.pins("requirements-dev.txt"), self.pins("requirements-mutation.txt")
        assert {name: mutation[name] for name in mutation.keys() & dev.keys()}.items() <= dev.items()


def test_no_part_of_the_domain_needs_itself() -> None:
    """One that does can be imported only after another one, by luck."""
    modules = {f"canvas_app.interviews.{path.stem}" for path in (ROOT / "canvas_app/interviews").glob("*.py")}
    needs: dict[str, set[str]] = {}
    for module in modules:
        found = ast.parse(read(f"{module.replace('.', '/')}.py")).body
        imports = [node for node in found if isinstance(node, ast.ImportFrom)]
        names = {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        needs[module] = (names | {str(node.module) for node in imports}) & modules
    # Raises CycleError, which names them.
    assert set(graphlib.TopologicalSorter(needs).static_order()) == modules


def project_files() -> Iterator[Path]:
    skipped = {"__pycache__", "instance", "var", "htmlcov", "node_modules"}
    for folder, names, files in os.walk(ROOT):
        names[:] = [
            name
            for name in names
            if name not in skipped and (not name.startswith(".") or name in {".ci", ".github"})
        ]
        for name in files:
            # In a further work tree of git's ".git" is a file.
            if name != ".git" and not name.startswith(".coverage"):
                yield Path(folder, name)


def test_no_file_names_a_machine_or_a_registry() -> None:
    # Put together here, so that this file does not hold what it looks for.
    paths = "|".join(["work", "root", "opt/wheels", "opt/pypi"])
    hosts = "|".join([r"pypi\.org", r"pythonhosted\.org", r"registry\.npmjs", r"jsdelivr", r"unpkg\.com"])
    forbidden = re.compile(rf"(?<![\w.<>-])/(?:{paths})(?![\w-])|{hosts}")
    own_lines = {'paths = "|".join', 'hosts = "|".join'}
    found = []
    for path in project_files():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if forbidden.search(line) and not any(own in line for own in own_lines):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_make_help_lists_the_fixed_targets() -> None:
    answer = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607 -- make is what PATH says it is.
    listed = {line.split()[1] for line in answer.stdout.splitlines()}
    assert {"demo", "tour", "test", "check"} <= listed


def test_scripts_are_executable() -> None:
    for path in [ROOT / ".ci" / "run", *(ROOT / "scripts").glob("*.sh")]:
        assert os.access(path, os.X_OK), path
        assert "set -euo pipefail" in path.read_text(encoding="utf-8"), path


ECHO_APP = """
import json

def app(environ, start_response):
    body = json.dumps({name: environ[name] for name in ("PATH_INFO", "SCRIPT_NAME", "wsgi.url_scheme")})
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body.encode()]
"""


@pytest.mark.slow
class TestGunicorn:
    """gunicorn.conf.py under an app that tells what it was asked."""

    @contextmanager
    def server(self, folder: Path, **environment: str) -> Iterator[tuple[httpx.Client, Path]]:
        (folder / "echo_app.py").write_text(ECHO_APP)
        port, log = free_port(), folder / "log"
        env = {**os.environ, "PORT": str(port), "PYTHONPATH": str(folder), **environment}
        command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "echo_app:app"]
        with (
            log.open("wb") as output,
            subprocess.Popen(  # noqa: S603 -- our own gunicorn.
                command, cwd=folder, env=env, stdout=output, stderr=output
            ) as process,
        ):
            try:
                transport = httpx.HTTPTransport(retries=8)
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport) as client:
                    yield client, log
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=10) == 0
            finally:
                process.kill()

    def test_never_writes_a_path(self, tmp_path: Path) -> None:
        with self.server(tmp_path, GUNICORN_CMD_ARGS="--access-logfile -") as (client, log):
            assert client.get("/i/a-personal-token").json()["PATH_INFO"] == "/i/a-personal-token"
        assert "Listening at" in log.read_text()
        assert "personal-token" not in log.read_text()

    def test_believes_the_platform_router_on_https_alone(self, tmp_path: Path) -> None:
        forged = {"X-Forwarded-Proto": "https", "SCRIPT_NAME": "/console", "PATH_INFO": "/console"}
        with self.server(tmp_path, FORWARDED_ALLOW_IPS="*") as (client, _log):
            answer = client.get("/healthz", headers=forged).json()
        assert answer == {"PATH_INFO": "/healthz", "SCRIPT_NAME": "", "wsgi.url_scheme": "https"}

    def test_obeys_web_concurrency(self, tmp_path: Path) -> None:
        # Older versions of Heroku's buildpack write it with a leading zero.
        with self.server(tmp_path, WEB_CONCURRENCY="02") as (client, log):
            client.get("/")
        assert log.read_text().count("Booting worker") == 2
