"""The definitions of an ontology."""

from sources import ONTOLOGY, cleaned


def test_definitions_of_an_ontology(tmp_path):
    (tmp_path / "hp.obo").write_text(ONTOLOGY)
    report, found = cleaned(tmp_path, "hpo", tmp_path / "hp.obo")
    assert report["rows_in"] == 9 and report["dropped"] == {"no definition": 3, "obsolete": 1}
    assert found[0]["text"] == 'A clouding of the lens, named "grey star", which scatters light.'
    assert {row["group"] for row in found} == {"hpo:HP:1"}
