"""An agent of dispatch's own: a program that works on a bead by asking a model and doing what it says.

`runner` starts it, on the worker's side; everything else here belongs to the program, which runs by itself:
`python -I -m workers.runners.llm CONFIGURATION`.
"""
