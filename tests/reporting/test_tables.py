"""Tables for the screen, for files and for pictures."""

from dapt.reporting.plots import read_csv
from dapt.reporting.tables import signed, write_csv


def test_a_table_for_pictures_keeps_what_its_cells_hold(tmp_path):
    write_csv(tmp_path / "table.csv", "right,share", [('Muscle, "head" or neck', 0.25)])
    assert read_csv(tmp_path / "table.csv") == [{"right": 'Muscle, "head" or neck', "share": 0.25}]


def test_a_difference_whose_interval_contains_0_is_not_significant():
    assert signed({"diff": -0.2, "ci95": [-0.3, -0.1]}) == "-0.200 [-0.300, -0.100]"
    assert signed({"diff": 0.2, "ci95": [-0.1, 0.5]}).endswith("(not significant)")
    assert signed(None) == "–"
