"""What taking each rule of the protocol out means, and which tests must fail then.

The old texts are short, so that they outlive changes around them. `test_catalogue.py` says at once when one no longer
fits; `make mutants` makes each change in a copy of the code and runs its tests.
"""

from tests.protocol import handing_over, processes, results, world

RULES = {
    1: "The outcome is written before it is returned",
    2: "A refused start raises Ignore",
    3: "The errback settles nothing; it shortens the lease",
    4: "Every write to the graph or a status first takes the project's lock",
    5: "Readiness is in the row, and each role with idle agents is looked at",
    6: "One tick at a time; it publishes after the commit and hears every nudge",
    7: "A run that nobody started is published again, alone",
    8: "Any worker on the role's queue may start a run",
    9: "Nothing a stale run does touches a newer one",
    10: "Leases and deadlines are the database's time; limits stand behind limits",
    11: "Rescue is armed only after steady ticks",
    12: "A run's heartbeat lasts until its outcome is written, and ends an agent that is not its own",
    13: "Sessions end by themselves, and nothing is published in a transaction",
    14: "What a human or a tracker writes does not cut into a run",
    15: "A worker that is told to end hands its runs back",
    16: "A python function can be killed, and no message waits behind a run",
    17: "An agent's environment is an allow-list",
}

MUTATIONS = (*results.MUTATIONS, *handing_over.MUTATIONS, *processes.MUTATIONS, *world.MUTATIONS)
