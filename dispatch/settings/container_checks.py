"""What runners and projects must agree on about containers."""

from collections.abc import Iterator

from dispatch.settings.finding import Finding
from dispatch.settings.model import Settings
from dispatch.settings.runners import Isolation

_KEYS_OF_IMAGES = ("network", "memory", "cpus", "pids")


def container_contradictions(settings: Settings) -> Iterator[Finding]:
    """Find a runner that could never start for want of an image, and limits of containers that are never made."""
    has_image = any(project.image for project in settings.projects.values())
    for name, runner in settings.runners.items():
        if runner.isolation is Isolation.CONTAINER and not has_image:
            yield Finding(
                ("runners", name, "isolation"),
                f'runner "{name}" needs a container, and no project has an image to make one from',
                'Name one: [projects.<name>] image = "registry/name:tag".',
            )
    for name, project in settings.projects.items():
        for key in _KEYS_OF_IMAGES:
            if not project.image and key in project.model_fields_set:
                yield Finding(
                    ("projects", name, key),
                    f'project "{name}" has no image, so "{key}" limits nothing',
                    'Name the image: image = "registry/name:tag", or remove the key.',
                )
