"""An agent program that misbehaves as the title of its bead says, at its first attempt."""

import json
import os
import re
import sys
import time
from pathlib import Path


def act(**data: str) -> None:
    result = data.pop("result")
    event = {"type": "action", "action_type": "command", "action_data": data, "result": result}
    os.write(1, json.dumps(event).encode() + b"\n")


def loops() -> None:
    while True:
        act(command="make test", result=f"1 failed in {time.monotonic():.3f} s")
        time.sleep(0.005)


def never_answers() -> None:
    time.sleep(600)


def waits_for_input() -> None:
    os.write(1, b"The file is there. Overwrite the file? [y/N] ")
    time.sleep(600)


def floods() -> None:
    for descriptor in (1, 2):
        for _ in range(1_000):
            os.write(descriptor, b"flood " * 10_000)
    Path("flood.txt").write_text("It is over.\n")


def leaves_a_daemon() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        Path("daemon.pid").write_text(f"{os.getpid()}\n")
        time.sleep(600)
        os._exit(0)
    while not Path("daemon.pid").exists():
        time.sleep(0.005)


def writes_outside() -> None:
    checkout = Path(os.environ["CHECKOUT"])
    (checkout / "stray.txt").write_text("stray\n")
    (checkout / "README.md").write_text("Overwritten.\n")
    Path("../stray.txt").write_text("stray\n")
    Path("inside.txt").write_text("inside\n")


def main() -> None:
    prompt = sys.stdin.read()
    if "This is attempt" in prompt:
        os.write(1, b"DISPATCH: nothing_to_do: It was enough once.\n")
        return
    found = re.search(r"^- Title: (\w+)", prompt, re.MULTILINE)
    assert found
    globals()[found[1]]()
    os.write(1, b"\nDISPATCH: completed: It is done.\n")


if __name__ == "__main__":
    main()
