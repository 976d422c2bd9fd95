"""Questions made of an ontology."""

from sources import ONTOLOGY, cleaned


def test_questions_made_of_an_ontology_give_no_answer_away(tmp_path):
    (tmp_path / "hp.obo").write_text(ONTOLOGY)
    report, found = cleaned(tmp_path, "hpo_choices", tmp_path / "hp.obo")
    by_text = {row["text"]: row for row in found}
    cataract = next(row for text, row in by_text.items() if text.startswith("A clouding"))
    assert cataract["label"] == "Abnormality of the eye"
    assert cataract["options"][cataract["answer"]] == "Cataract" and len(set(cataract["options"])) == 4
    assert set(cataract["options"]) < {"Cataract", "Coloboma", "Glaucoma", "Nystagmus", "Shared"}
    glaucoma = next(row for text, row in by_text.items() if text.startswith("Damage"))
    assert "options" not in glaucoma and glaucoma["label"]  # its name stands in its definition
    shared = next(row for text, row in by_text.items() if "two of the branches" in text)
    assert "label" not in shared and shared["options"][shared["answer"]] == "Shared"
