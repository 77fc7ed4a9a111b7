"""Which provider of models each run of a round uses: the policies of routing and breakers, asked with what is taken."""

from dispatch.models.bead import Bead
from dispatch.models.dispatching import Supply
from dispatch.readiness.providers import UsableProviders
from dispatch.routing.means import Means, choose_means, needs_provider
from dispatch.settings import Settings


class ModelSupply:
    """The providers in one look at the supply. One on trial is given to one run of the round."""

    def __init__(self, supply: Supply, settings: Settings) -> None:
        self._settings = settings
        self._usable = UsableProviders(supply.providers, settings.guards, supply.now)
        self._tried: frozenset[str] = frozenset()

    def obstacle(self, role: str) -> str | None:
        """Say why nobody can work in a role, for want of a provider that answers; None: somebody can."""
        names = self._settings.role_providers(role)
        if not needs_provider(role, self._settings) or self._usable.up(names, self._tried):
            return None
        return self._usable.refusal(role, names, self._tried)

    def means(self, role: str, bead: Bead) -> Means | None:
        """Return by what a bead would be worked on in a role; None: by nothing that is configured and answers."""
        up = self._usable.up(self._settings.role_providers(role), self._tried)
        return choose_means(role, bead, self._settings, up)

    def take(self, role: str, bead: Bead) -> str:
        """Return the provider that a bead's step uses, which it then has; empty: it uses none."""
        means = self.means(role, bead)
        name = means.provider_name if means is not None else ""
        if name and self._usable.is_on_trial(name):
            self._tried |= {name}
        return name
