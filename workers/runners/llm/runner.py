"""The worker's side: starts the program for a run, under the same guard as any agent."""

import os
import sys
from collections.abc import Mapping, Sequence

from dispatch.models.outcome import Failed, Outcome
from dispatch.providers import key_of
from dispatch.settings import ModelLimits, ProviderSettings
from workers.runners.base import RunnerContext
from workers.runners.command import CommandRunner
from workers.runners.container_order import ORDER_VARIABLE, Order
from workers.runners.environment import NO_VARIABLES
from workers.runners.launching import Containment
from workers.runners.llm.configuration import ModelRun
from workers.runners.run_files import write_model_run
from workers.runners.verdict import outcome_before_start

PROGRAM = "workers.runners.llm"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
WAY_OUT = (*_PROXIES, *map(str.lower, _PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that say how an endpoint is reached: the program heeds them as the worker's own health checks do."""


class LlmRunner:
    """Works on beads with the model of one provider. `env` and `pass_env` are those of `CommandRunner`.

    The key goes from the worker's environment into the program's, and into no file and no argument. The program is
    isolated from the directory that it works in: nothing there is imported.

    With a `containment` the program still works here, where the endpoint is and the key, and every command of the model
    runs in a container; those get of `pass_env` what the container does not have itself, and never the key.
    """

    def __init__(
        self,
        name: str,
        provider: ProviderSettings,
        limits: ModelLimits,
        env: Mapping[str, str] | None = None,
        pass_env: Sequence[str] = (),
        *,
        containment: Containment | None = None,
    ) -> None:
        self._provider = provider
        key = [provider.api_key_env] if provider.api_key_env else []
        private = [variable for variable in (*key, *WAY_OUT) if variable not in pass_env]
        self._run = ModelRun.of(name, provider, limits, private, contained=containment is not None)
        self._env = dict(env or {})
        self._pass_env = (*pass_env, *private)
        self._seen_inside = [variable for variable in pass_env if variable not in key]
        self._containment = containment

    def run(self, context: RunnerContext) -> Outcome:
        if key_of(self._provider, os.environ) is None:
            return Failed(
                cause="no key for the provider",
                summary=f"The variable {self._provider.api_key_env} with the key of {self._run.provider} is not set"
                " where this worker was started.",
            )
        if self._containment is None:
            return self._work(context, NO_VARIABLES)
        early = outcome_before_start(context)
        if early is not None:
            return early
        with self._containment.stage(context, (), None, self._seen_inside) as stage:
            if isinstance(stage, Failed):
                return stage
            order = Order(stage.container, stage.environment, stage.trouble)
            return stage.explain(self._work(context, {ORDER_VARIABLE: order.written()}))

    def _work(self, context: RunnerContext, variables: Mapping[str, str]) -> Outcome:
        told = write_model_run(context, self._run.model_dump_json())
        argv = [sys.executable, "-I", "-m", PROGRAM, str(told)]
        return CommandRunner(argv, self._env, self._pass_env).run(context, variables=variables)
