"""What the tests of several cleaners are given."""

import zipfile
from pathlib import Path

import pytest

ARTICLES = [
    (
        "1",
        "http://x.com/business/a",
        "Shares in the company",
        "The company said its plan was a good one for everybody involved.",
    ),
    (
        "2",
        "http://x.com/sport/b",
        "A goal in the last minute",
        'They scored twice and won, and the crowd""?s cheers were heard. ""Fine,""?he said.',
    ),
    (
        "3",
        "http://x.com/world/c",
        "Rates go up again",
        "The bank raised interest rates, the market fell, shares lost and bonds rose.",
    ),
]


@pytest.fixture()
def articles(tmp_path) -> Path:
    with zipfile.ZipFile(tmp_path / "n.zip", "w") as archive:
        lines = [f'{number},2017/1/1,{link},{title},,"{text}"' for number, link, title, text in ARTICLES]
        archive.writestr(
            "n.csv", "article_id,publish_date,article_source_link,title,subtitle,text\n" + "\n".join(lines)
        )
    return tmp_path / "n.zip"
