"""Whether the two servers answer, asked as their users ask."""

import socket
from pathlib import Path

import psycopg

from dispatch.embedded.home import EmbeddedHome, Endpoints
from dispatch.embedded.postgres import DATABASE, USER, read_password

_ANSWER_SECONDS = 2


def postgres_problem(home: EmbeddedHome, endpoints: Endpoints) -> str | None:
    """Return why PostgreSQL does not answer a statement, or None when it does."""
    if not endpoints.postgres_socket.exists():
        return "has no socket yet"
    try:
        with psycopg.connect(
            host=str(endpoints.postgres_directory),
            user=USER,
            password=read_password(home),
            dbname=DATABASE,
            connect_timeout=_ANSWER_SECONDS,
        ) as connection:
            connection.execute("SELECT 1")
    except (psycopg.OperationalError, FileNotFoundError) as error:
        return f"does not answer ({str(error).strip()})"
    return None


def valkey_problem(path: Path) -> str | None:
    """Return why Valkey does not answer a PING, or None when it does."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            answer = connection.recv(64)
    except FileNotFoundError:
        return "has no socket yet"
    except OSError as error:
        return f"does not answer ({error})"
    return None if answer.startswith(b"+PONG") else f"answers {answer.decode(errors='replace').strip()!r}"
