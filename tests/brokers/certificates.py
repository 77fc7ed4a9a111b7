"""Certificates of an authority that a test makes, with the program `openssl`."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self


def has_openssl() -> bool:
    return shutil.which("openssl") is not None


@dataclass(frozen=True)
class Certificates:
    """An authority, and a certificate of 127.0.0.1 that it signed."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> Self:
        directory.mkdir()
        authority, authority_key = directory / "authority.pem", directory / "authority.key"
        made = cls(authority, directory / "server.pem", directory / "server.key")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        _openssl(
            *("req", "-x509", *new_key, "-keyout", authority_key, "-out", authority, "-days", "2"),
            *("-subj", "/CN=An authority of a test", "-addext", "keyUsage=critical,keyCertSign"),
        )
        request, extensions = directory / "server.csr", directory / "extensions"
        extensions.write_text("subjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\n")
        _openssl("req", "-new", *new_key, "-keyout", made.key, "-out", request, "-subj", "/CN=A server of a test")
        _openssl(
            *("x509", "-req", "-in", request, "-out", made.certificate, "-days", "2", "-extfile", extensions),
            *("-CA", authority, "-CAkey", authority_key, "-CAcreateserial"),
        )
        return made


def _openssl(*arguments: str | Path) -> None:
    finished = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stderr
