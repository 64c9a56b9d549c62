from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from seatrial import process
from seatrial.errors import ProgramError

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_output_and_errors_are_kept_apart() -> None:
    done = process.run(python("import sys; print('out'); print('err', file=sys.stderr)"), timeout=20)
    assert (done.code, done.output, done.errors) == (0, "out\n", "err\n")


def test_what_is_no_utf8_is_shown_all_the_same() -> None:
    done = process.run(python("import sys; sys.stdout.buffer.write(b'a\\xffb')"), timeout=20)
    assert done.output == "a\N{REPLACEMENT CHARACTER}b"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProgramError, match="'no-such-program' is not installed") as caught:
        process.find_program("no-such-program")
    assert caught.value.where == "PATH"


def test_a_program_is_looked_for_on_the_path_that_it_is_given() -> None:
    with pytest.raises(ProgramError, match="is not installed") as caught:
        process.run(["sh", "-c", "true"], timeout=5, environment={"PATH": "/nowhere"})
    assert caught.value.where == "/nowhere"


def test_the_environment_is_whole() -> None:
    done = process.run(["/usr/bin/env"], timeout=5, environment={"ONLY": "this"})
    assert done.output == "ONLY=this\n"


def test_a_failing_program_is_told_with_its_last_words() -> None:
    with pytest.raises(ProgramError, match=r"ended with exit code 3\.") as caught:
        process.run(python("import sys; print('why', file=sys.stderr); sys.exit(3)"), timeout=20)
    assert caught.value.detail == "why"
    assert process.run(python("raise SystemExit(3)"), timeout=20, check=False).code == 3


@pytest.mark.parametrize(
    ("content", "words"), [(b"\0\0\1", "Exec format error"), (b"#!/nowhere/python\n", "No such file")]
)
def test_a_file_that_is_no_program_is_one_clear_error(tmp_path: Path, content: bytes, words: str) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    broken.chmod(0o755)
    with pytest.raises(ProgramError, match=words) as caught:
        process.run([broken], timeout=5)
    assert caught.value.where == str(broken)


def test_a_missing_folder_and_a_zero_byte_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="could not be started"):
        process.run(["true"], timeout=5, folder=tmp_path / "nowhere")
    with pytest.raises(ProgramError, match="null byte"):
        process.run(["true", "a\0b"], timeout=5)


def test_the_last_lines_are_kept_and_all_are_handed_on() -> None:
    lines: list[str] = []
    script = f"for n in range({process.KEPT_LINES + 50}): print(n)"
    done = process.stream(python(script), timeout=20, on_output=lines.append, on_error=lines.append)
    assert len(lines) == process.KEPT_LINES + 50
    assert done.output.splitlines() == [str(n) for n in range(50, process.KEPT_LINES + 50)]


def test_standard_input_is_fed_and_need_not_be_read() -> None:
    assert process.run(["cat"], timeout=5, text_in="hello").output == "hello"
    assert process.run(["true"], timeout=5, text_in="x" * 2_000_000).code == 0


def test_a_program_that_never_reads_its_input_still_times_out() -> None:
    with pytest.raises(ProgramError, match=r"took longer than 0\.5 s"):
        process.run(python(SLEEPER), timeout=0.5, text_in="x" * 2_000_000)


def test_past_its_time_a_program_is_interrupted_first() -> None:
    script = (
        "import time\n"
        "try:\n print('up', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n print('cleaned up', flush=True)"
    )
    with pytest.raises(ProgramError, match=r"took longer than 2 s") as caught:
        process.run(python(script), timeout=2)
    assert caught.value.detail == "up\ncleaned up\n"


@pytest.mark.parametrize("deaf", ["SIGINT", "SIGINT SIGTERM"])
def test_a_deaf_program_is_terminated_then_killed(monkeypatch: pytest.MonkeyPatch, deaf: str) -> None:
    monkeypatch.setattr(process, "INTERRUPT_GRACE", 0.3)
    ignored = "".join(f"signal.signal(signal.{part}, signal.SIG_IGN); " for part in deaf.split())
    script = f"import os, signal, time; {ignored}print(os.getpid(), flush=True); time.sleep(60)"
    pids: list[str] = []
    with pytest.raises(ProgramError, match="was stopped"):
        process.stream(python(script), timeout=2, on_output=pids.append, on_error=pids.append)
    assert not alive(int(pids[0]))


def interrupt_when_up(times: int = 1) -> None:
    def ctrl_c() -> None:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)

    threading.Thread(target=ctrl_c, daemon=True).start()


def test_ctrl_c_ends_the_program_and_goes_on() -> None:
    pids: list[int] = []

    def up(line: str) -> None:
        pids.append(int(line))
        interrupt_when_up()

    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        process.stream(python(script), timeout=30, on_output=up, on_error=lambda _: None)
    assert not alive(pids[0])


def test_a_second_ctrl_c_kills_at_once() -> None:
    pids: list[int] = []

    def up(line: str) -> None:
        pids.append(int(line))
        interrupt_when_up(times=2)

    script = (
        "import os, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        process.stream(python(script), timeout=30, on_output=up, on_error=lambda _: None)
    assert not alive(pids[0])
    assert time.monotonic() - started < process.INTERRUPT_GRACE


def test_what_a_stopped_program_started_is_gone_too() -> None:
    script = (
        "import subprocess, sys, time\n"
        "deaf = 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); '\n"
        "deaf += 'time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    pids: list[str] = []
    with pytest.raises(ProgramError, match="was stopped"):
        process.stream(python(script), timeout=2, on_output=pids.append, on_error=lambda _: None)
    # It was killed; when the system has put it away is the system's to say.
    deadline = time.monotonic() + 10
    while alive(int(pids[0])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(pids[0]))


def test_a_child_in_the_background_does_not_hold_us_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "DRAIN_GRACE", 0.3)
    started = time.monotonic()
    done = process.run(["sh", "-c", "sleep 4 & echo done"], timeout=20)
    assert (done.code, done.output) == (0, "done\n")
    assert time.monotonic() - started < 3


def test_a_program_whose_output_nobody_takes_is_interrupted() -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        process.stream(python(SLEEPER), timeout=30, on_output=gone, on_error=gone)


def whole(log: Path) -> str:
    """Return the log of a program that was spawned, once what writes it has ended."""
    while True:
        # Between the two steps of a rotation there is no file of this name.
        with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            # Rotated meanwhile, it is another file that is written now.
            if os.fstat(file.fileno()).st_ino == log.stat().st_ino:
                return log.read_text(encoding="utf-8")


def test_the_log_of_a_spawned_program_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SPAWN_LOG_BYTES", 100_000)
    log = tmp_path / "log"
    pid = process.spawn(python("for n in range(100_000): print('a line of a log,', n, flush=n % 100 == 0)"), log=log)
    os.waitpid(pid, 0)
    assert whole(log).endswith("a line of a log, 99999\n")
    before = tmp_path / "log.1"
    assert 0 < log.stat().st_size <= 100_000
    assert 0 < before.stat().st_size <= 100_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1"]


def test_a_spawned_program_that_cannot_be_executed_leaves_nothing_running(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere\n")
    broken.chmod(0o755)
    with pytest.raises(ProgramError, match="could not be started"):
        process.spawn([broken], log=tmp_path / "log")
    assert whole(tmp_path / "log") == ""


def test_a_spawned_program_lives_on_and_logs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pid = process.spawn(python("import os; print(os.getsid(0) == os.getpid(), os.getcwd(), flush=True)"), log=log)
    os.waitpid(pid, 0)
    assert whole(log) == "True /\n"


ATTACHED = "import sys; from seatrial import process; sys.exit(process.attached(sys.argv[1:]))"


def attached(script: str) -> list[str]:
    """Return the words of a process that attaches another one to itself."""
    return [*python(ATTACHED), *python(script)]


def test_an_attached_program_has_this_process_s_own_input_output_and_errors() -> None:
    script = "import sys; print(sys.stdin.read()[::-1]); print('wrong', file=sys.stderr); sys.exit(7)"
    done = subprocess.run(attached(script), input="ahoy", capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "yoha\n", "wrong\n")


def test_an_attached_program_that_a_signal_ends_counts_as_in_a_shell() -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run(attached(script), timeout=20, check=False).returncode == 137


def test_ctrl_c_is_an_attached_programs_own() -> None:
    script = (
        "import sys, time\ntry:\n    print('up', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    sys.exit(3)"
    )
    with subprocess.Popen(attached(script), stdout=subprocess.PIPE, text=True, start_new_session=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "up\n"
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(timeout=20) == 3


def test_a_program_that_cannot_be_attached_is_named() -> None:
    with pytest.raises(ProgramError, match="'nosuch' is not installed"):
        process.attached(["nosuch"])


def test_whatever_a_program_ignores_it_is_over_within_ten_seconds() -> None:
    # Its child holds the pipes open, in a session of its own.
    script = (
        "import signal, subprocess, sys, time\n"
        "for deaf in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(deaf, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '30'], start_new_session=True)\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(1)"
    )
    started: list[float] = []

    def up(_: str) -> None:
        started.append(time.monotonic())
        interrupt_when_up()

    with pytest.raises(KeyboardInterrupt):
        process.stream(python(script), timeout=60, on_output=up, on_error=up)
    assert time.monotonic() - started[0] < 10


def test_a_program_whose_output_nobody_takes_is_ended_though_it_ignores_interrupts() -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    script = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: print('x' * 9, flush=True)"
    started = time.monotonic()
    with pytest.raises(BrokenPipeError):
        process.stream(python(script), timeout=None, on_output=gone, on_error=gone)
    assert time.monotonic() - started < 10


def test_a_long_line_comes_in_pieces_and_is_whole_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LONGEST_LINE", 1000)
    pieces: list[str] = []
    script = "print('x' * 2500); print('y')"
    done = process.stream(python(script), timeout=20, on_output=pieces.append, on_error=pieces.append)
    assert [len(piece) for piece in pieces] == [1000, 1000, 501, 2]
    assert process.run(python(script), timeout=20).output == f"{'x' * 2500}\ny\n"
    assert done.code == 0


@pytest.mark.parametrize("sink", ["stdout", "stderr"])
def test_a_program_that_writes_without_end_is_stopped(sink: str) -> None:
    script = f"import sys\nwhile True: sys.{sink}.write('x' * 65536)"
    with pytest.raises(ProgramError, match=r"wrote more than 2 MiB and was stopped"):
        process.run(python(script), timeout=60, limits=process.Limits(output=2 * 1024**2))
    assert process.UNLIMITED.output is None


def test_what_is_kept_of_long_lines_is_bounded() -> None:
    done = process.stream(
        python("for n in range(300): print('x' * 100_000)"),
        timeout=30,
        on_output=lambda _: None,
        on_error=lambda _: None,
    )
    assert len(done.output) == process.KEPT_LINES * process.LONGEST_KEPT


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are Linux's")
def test_memory_and_processor_time_are_limited() -> None:
    with pytest.raises(ProgramError, match=r"needed more than 64 MiB of memory and was stopped\."):
        process.run(
            python("import time; time.sleep(0.3); held = bytearray(10**9)"), timeout=20,
            limits=process.Limits(memory=64 * 1024**2),
        )  # fmt: skip
    with pytest.raises(ProgramError, match=r"took more than 1 s of processor time and was stopped\."):
        process.run(python("while True: pass"), timeout=20, limits=process.Limits(processor=1))
    done = process.run(python("print('enough')"), timeout=20, limits=process.Limits(memory=2**29, processor=20))
    assert done.output == "enough\n"


def test_an_attached_program_that_ignores_the_end_is_killed() -> None:
    script = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "signal.signal(signal.SIGINT, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
    )
    terminated = (
        "import signal, sys; from seatrial import process; "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); sys.exit(process.attached(sys.argv[1:]))"
    )
    with subprocess.Popen([*python(terminated), *python(script)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        run.terminate()
        assert run.wait(timeout=10) == 143
    assert not alive(pid)
