"""Tweets, in a table inside a zip."""

import zipfile

from sources import cleaned


def test_tweets_lose_addresses_and_retweets_their_sender(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr(
            "t.csv",
            'source_id,text\ncnn-1,"RT @doctor: Flu is on the rise, says @CDC http://cnn.it/x"\n'
            'cnn-2,"RT @other: Flu is on the rise, says @CDC http://cnn.it/y"\n',
        )
    report, found = cleaned(tmp_path, "tweets", tmp_path / "t.zip")
    assert [row["text"] for row in found] == ["Flu is on the rise, says @user"] and report["dropped"] == {
        "duplicate": 1
    }
