"""`dapt check`: refuse params.yaml before any stage runs, in one line, or write the constant that fetch depends on."""

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import whole_file
from dapt.core.paths import CHECKED
from dapt.corpus.cleaners import names
from dapt.corpus.cleaning import check_options
from dapt.tasks import kinds
from dapt.telling.errors import UserError


def check(params: Params) -> None:
    """What the types of config.py cannot know: that each task's kind exists and its corpus is enabled, and that each
    source's cleaner exists and takes its options."""
    for name, task in params.tasks.items():
        for where, settings in task.by_profile.items():
            if settings.kind not in kinds.names():
                raise UserError(
                    f"params.yaml: tasks.{name}.{where}.kind: unknown kind {settings.kind!r}; known: "
                    f"{', '.join(kinds.names())}"
                )
            if where == params.profile and not params.corpora[settings.corpus].enabled:
                raise UserError(
                    f"params.yaml: tasks.{name}.{where}.corpus: {settings.corpus} is not enabled; enable it, or take the "
                    "task out"
                )
    for where, profile in params.profiles.items():
        for corpus, sources in profile.corpora.items():
            for number, source in enumerate(sources):
                at = f"params.yaml: profiles.{where}.corpora.{corpus}.{number}"
                if source.cleaner not in names():
                    raise UserError(f"{at}.cleaner: unknown cleaner {source.cleaner!r}; known: {', '.join(names())}")
                check_options(source.cleaner, source.options, f"{at}.options")


def run() -> None:
    params = config.load()
    check(params)
    for repo in params.unpinned():
        print(f"not pinned: {repo}; dapt fetch --pin writes its commit and sha256 into params.yaml")
    with whole_file(CHECKED) as file:
        file.write("params.yaml is right\n")
