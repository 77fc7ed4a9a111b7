"""What the keys of one project must be together."""

from collections.abc import Iterator

from dispatch.settings.finding import Finding
from dispatch.settings.projects import Landing, ProjectSettings


def project_contradictions(name: str, project: ProjectSettings) -> Iterator[Finding]:
    table = ("projects", name)
    if project.use_clone and not project.url:
        yield Finding(
            (*table, "use_clone"),
            f'project "{name}" is to be worked on in a clone, and has no url to clone from',
            'Add url = "https://host/owner/name.git", or leave use_clone out.',
        )
    if project.pr_command and project.landing in (Landing.MERGE, Landing.NONE):
        yield Finding(
            (*table, "pr_command"),
            f'project "{name}" opens no pull requests (landing = "{project.landing}"), so its pr_command has no use',
            'Set landing = "pr", or leave pr_command out.',
        )
