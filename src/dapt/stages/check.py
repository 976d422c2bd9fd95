"""`dapt check`: refuse wrong settings before any stage runs, in one line, or write the constant that fetch depends on."""

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import whole_file
from dapt.core.paths import CHECKED, profile_path
from dapt.corpus.cleaners import names
from dapt.corpus.cleaning import check_options
from dapt.tasks import kinds
from dapt.telling.errors import UserError


def check(params: Params) -> None:
    """What the types of config.py cannot know: that each task's kind exists and its corpus is enabled, and that each
    source's cleaner exists and takes its options."""
    for where, profile in params.profiles.items():
        for name, task in profile.tasks.items():
            at = f"{profile_path(where)}: tasks.{name}"
            if task.kind not in kinds.names():
                raise UserError(f"{at}.kind: unknown kind {task.kind!r}; known: {', '.join(kinds.names())}")
            if where == params.profile and not params.corpora[task.corpus].enabled:
                raise UserError(f"{at}.corpus: {task.corpus} is not enabled; enable it, or take the task out")
        for corpus, sources in profile.corpora.items():
            for number, source in enumerate(sources):
                at = f"{profile_path(where)}: corpora.{corpus}.{number}"
                if source.cleaner not in names():
                    raise UserError(f"{at}.cleaner: unknown cleaner {source.cleaner!r}; known: {', '.join(names())}")
                check_options(source.cleaner, source.options, f"{at}.options")


def run() -> None:
    params = config.load()
    check(params)
    for repo in params.unpinned():
        print(f"not pinned: {repo}; dapt fetch --pin writes its commit and sha256 into its settings")
    with whole_file(CHECKED) as file:
        file.write("params.yaml is right\n")
