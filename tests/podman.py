"""A private Podman: its storage, state and socket are the test's own, and its only image is made of busybox."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

IMAGE = "localhost/agents:test"
PATIENCE = 60.0
"""Seconds that the engine may take to start or stop; it is some 2 s on a quiet machine."""
_CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
"""


def what_is_missing() -> str:
    """Return why no engine can be started here; empty when one can."""
    if os.geteuid() != 0:
        return "only root can start an engine with limits here"
    missing = [name for name in ("podman", "runc", "busybox") if shutil.which(name) is None]
    return f"{', '.join(missing)} is not installed (Debian's packages podman, runc, busybox-static)" if missing else ""


class Podman:
    """An engine of root on a Unix socket. It reaches nobody's registry, and nobody's containers but its own."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="dispatch-podman-"))
        self._socket = self._directory / "podman.sock"
        place = self._directory
        storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{place / "root"}"\nrunroot = "{place / "run"}"\n'
        self._environment = os.environ | {
            "CONTAINERS_CONF": str(self._write("containers.conf", _CONFIGURATION)),
            "CONTAINERS_STORAGE_CONF": str(self._write("storage.conf", storage)),
        }
        self._service: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> str:
        """Make the image and start the service; return what keeps containers from running here, or nothing."""
        self._make_image()
        tried = self.call("run", "--rm", "--network", "none", "--memory", "32m", "--pids-limit", "8", IMAGE, "true")
        if tried.returncode != 0:
            return f"containers cannot run on this host: {tried.stderr.strip()[-300:]}"
        self.serve()
        return ""

    def serve(self) -> None:
        """Start the service and wait until it listens."""
        self._socket.unlink(missing_ok=True)
        with (self._directory / "service.log").open("ab") as log:
            self._service = subprocess.Popen(
                self._command("system", "service", "--time", "0", self.address),
                env=self._environment,
                cwd=self._directory,  # where it writes a file `oom` for a container that ran out of memory
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._socket.exists():
            assert self._service.poll() is None, "the engine ended by itself"
            assert time.monotonic() < deadline, "the engine does not listen"
            time.sleep(0.05)

    def kill(self) -> None:
        """End the service without warning; what keeps each container is a process of its own."""
        assert self._service is not None
        self._service.kill()
        self._service.wait()

    def containers(self) -> dict[str, dict[str, str]]:
        """Return the labels of all containers, by id."""
        lines = self.call("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Labels}}").stdout.splitlines()
        found = {}
        for line in lines:
            container_id, _, labels = line.partition(" map[")
            found[container_id] = dict(label.split(":", 1) for label in labels.rstrip("]").split(" ") if ":" in label)
        return found

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `podman ARGUMENTS...` on this engine's containers."""
        return subprocess.run(
            self._command(*arguments),
            env=self._environment,
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def end(self) -> None:
        """Remove every container, end the service and what it started, and delete all it kept."""
        self.call("rm", "--all", "--force", "--time", "0")
        if self._service is not None:
            self._service.terminate()
            try:
                self._service.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._service.kill()
                self._service.wait()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "conmon" and any(str(self._directory) in word for word in process.cmdline()):
                    process.send_signal(signal.SIGKILL)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _command(self, *arguments: str) -> list[str]:
        place = self._directory
        return [
            "podman",
            *("--root", str(place / "root"), "--runroot", str(place / "run"), "--tmpdir", str(place / "tmp")),
            *("--storage-driver", "vfs", "--network-config-dir", str(place / "networks")),
            *arguments,
        ]

    def _make_image(self) -> None:
        """Make an image in which every program is busybox; one of them is root's with the setuid bit."""
        tree = self._directory / "tree"
        programs = tree / "bin"
        programs.mkdir(parents=True)
        busybox = programs / "busybox"
        shutil.copyfile(str(shutil.which("busybox")), busybox)
        busybox.chmod(0o755)
        names = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in set(names) - {"busybox"}:
            (programs / name).symlink_to("busybox")
        (tree / "etc").mkdir()
        (tree / "etc" / "passwd").write_text("root::0:0:root:/:/bin/sh\n")
        (tree / "etc" / "group").write_text("root:x:0:\n")
        shutil.copyfile(busybox, programs / "rootsh")
        (programs / "rootsh").chmod(0o4755)
        archive = shutil.make_archive(str(self._directory / "image"), "tar", tree)
        imported = self.call("import", archive, IMAGE)
        assert imported.returncode == 0, imported.stderr
        shutil.rmtree(tree)
        Path(archive).unlink()

    def _write(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.write_text(text)
        return path
