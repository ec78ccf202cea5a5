"""The application as real processes, and the demo and the tour that are made of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from sandbox import seed
from sandbox.checking import NotAsExpectedError, check, check_that, until, words_of
from sandbox.processes import ROOT, App, NotStartedError, free_port
from sandbox.running import SECOND_SLUG, everything
from sandbox.server import SECOND_STUDY, Sandbox


def settings_for(sandbox: Sandbox, port: int, folder: Path) -> dict[str, str]:
    return sandbox.env(f"http://127.0.0.1:{port}", f"sqlite:///{folder / 'app.sqlite3'}")


def test_free_port_falls_back() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        assert free_port(port) not in {0, port}
    assert free_port(port) == port


def test_checks_say_what_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    check("one is one", 1, 1)
    check_that("it holds", [1], [1])
    assert capsys.readouterr().out == "  ✓ one is one\n  ✓ it holds\n"
    with pytest.raises(NotAsExpectedError, match="notes: expected 1, got 2"):
        check("notes", 1, 2)
    with pytest.raises(NotAsExpectedError, match="expected that it is there, got None"):
        check_that("it is there", None, None)


def _wait_for_log(app: App, name: str, word: str, *, times: int) -> None:
    deadline = time.monotonic() + 20
    while (app.logs / f"{name}.log").read_text().count(word) < times:
        assert time.monotonic() < deadline, app.tail(name)
        time.sleep(0.05)


@pytest.mark.slow
def test_processes_start_and_stop(tmp_path: Path) -> None:
    port = free_port()
    with Sandbox() as sandbox:
        app = App(settings_for(sandbox, port, tmp_path), port=port, logs=tmp_path / "logs")
        with app:
            assert httpx.get(f"{app.url}/healthz", trust_env=False).status_code == 200
            killed = app.processes["worker"]
            app.kill("worker")
            assert killed.returncode == -signal.SIGKILL
            app.start("worker")
            _wait_for_log(app, "worker", "worker_started", times=2)
            began = time.monotonic()
            assert app.stop() == {"web": 0, "worker": 0}
            assert time.monotonic() - began < 12
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{app.url}/healthz", trust_env=False)


@pytest.mark.slow
def test_a_release_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    app = App({"DATABASE_URL": "nonsense"}, port=free_port(), logs=tmp_path)
    with pytest.raises(NotStartedError, match="release ended with") as told:
        app.__enter__()
    assert "DATABASE_URL" in str(told.value)
    assert app.processes == {}


@pytest.mark.slow
def test_a_process_that_ends_is_noticed(tmp_path: Path) -> None:
    port = free_port()
    with Sandbox() as sandbox:
        app = App(settings_for(sandbox, port, tmp_path), port=port, logs=tmp_path / "logs")
        app.logs.mkdir()
        app.start("web").kill()
        with pytest.raises(NotStartedError, match="web ended with -9"):
            app.wait_until_healthy()
        assert app.stop() == {"web": -signal.SIGKILL}


@pytest.mark.slow
def test_demo_tells_what_to_click_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment["TMPDIR"] = str(tmp_path)
    demo = subprocess.Popen(  # noqa: S603 - our own command.
        [sys.executable, "-m", "sandbox", "--port", str(free_port())],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.stdout is not None
    said = ""
    try:
        for line in demo.stdout:
            said += line
            if "Ctrl-C stops everything" in line:
                break
        assert "  5. " in said
        inbox = said.split("Inbox (stand-in Intercom)")[1].split()[0]
        page = httpx.get(inbox, follow_redirects=True, trust_env=False)
        assert 'name="component_id" value="send"' in page.text
        settings = said.split("    . ")[1].split()[0]
        typed = "\n".join(line for line in said.splitlines() if line.startswith("    "))
        command = subprocess.run(  # noqa: S603 - our own command, as the demo says to type it.
            ["/bin/sh", "-c", typed],
            cwd=ROOT,
            # A shell in which nobody has activated anything.
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert inbox.rstrip("/") in Path(settings).read_text()
        assert "Intercom knows the token, of Sandbox Ltd" in command.stdout, command.stderr
    finally:
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=20)
    assert demo.returncode == 0, rest
    assert "Stopping" in rest
    assert list(tmp_path.glob("koji-for-intercom-*")) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(inbox, trust_env=False)


@pytest.mark.slow
def test_the_application_is_told_of_a_second_study() -> None:
    pytest.importorskip("canvas_app.cli.studies")
    with everything(second_study=True) as running:
        inbox, state = running.sandbox.inbox, running.sandbox.state.intercom
        talk, contact = state.conversation("1001"), state.contact(seed.MARTA)
        card = words_of(inbox.initialize(talk, contact))
        assert SECOND_STUDY.casefold() in card
        inbox.submit(talk, contact, "send", {"study": SECOND_SLUG})
        koji = running.sandbox.state.koji
        [interview] = until("Koji has an interview", lambda: list(koji.interviews.values()))
        assert interview.study is running.sandbox.second_study
        koji.answer(interview.id, answers=["The export was slow and broken for hours."] * 3, rating=2)
        # Its webhooks are signed with the study's own secret.
        assert running.sandbox.deliverer.wait_idle()
        assert [item.statuses for item in running.sandbox.deliverer.deliveries] == [[200], [200]]
        assert state.canvas_problems == []
