"""`python -I -m workers.runners.llm CONFIGURATION`."""

import sys

from workers.runners.llm.program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
