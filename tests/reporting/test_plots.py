"""The pictures, as SVG with the figures of the tables."""

from xml.etree import ElementTree

from dapt.reporting import plots
from repositories import committed_params

PARAMS = committed_params()


def test_pictures_are_svg_with_the_figures_of_the_tables(charts, committed_metrics):
    pictures = {name: plots.svg(spec) for name, spec in charts.items()}
    rows = plots.read_csv(committed_metrics / "crossdomain.csv")
    shown = {node.text for node in ElementTree.fromstring(pictures["matrix"]).iter() if node.text}
    assert {f"{row['loss']:.2f}" for row in rows} <= shown and {row["model"] for row in rows} <= shown
    curves = {node.text for node in ElementTree.fromstring(pictures["curves"]).iter() if node.text}
    assert set(PARAMS.domains) <= curves
    tasks = {node.text for node in ElementTree.fromstring(pictures["tasks"]).iter() if node.text}
    named = {*PARAMS.tasks, *PARAMS.finetuned, *(task.words for task in PARAMS.tasks.values())}
    calibration = {node.text for node in ElementTree.fromstring(pictures["calibration"]).iter() if node.text}
    assert named <= tasks and {*PARAMS.tasks, *PARAMS.finetuned} <= calibration and "bm25" not in calibration
    for task in ("finance_classification", "biomed_topic"):
        rows = plots.read_csv(committed_metrics / f"confusion/{task}.csv")
        shown = {node.text for node in ElementTree.fromstring(pictures[f"confusion_{task}"]).iter() if node.text}
        assert {f"{task}, {name}" for name in PARAMS.finetuned} | {row["right"] for row in rows} <= shown
        assert {f"{row['share'] * 100:.0f}" for row in rows if row["share"] >= 0.05} <= shown


def test_the_differences_are_drawn_for_each_model_but_those_compared_with_themselves(charts, committed_metrics):
    rows = plots.read_csv(committed_metrics / "crossdomain.csv")
    drawn = ElementTree.fromstring(plots.svg(charts["differences"]))
    points = [node for node in drawn.iter() if node.get("aria-roledescription") == "point"]
    assert len(points) == sum((row["vs_base"] != "") + (row["vs_control"] != "") for row in rows) == 2 * len(rows) - 6


def test_a_picture_takes_the_colours_of_its_page_and_keeps_its_own(charts):
    themed = plots.themed(charts["confusion_biomed_topic"])
    own = charts["confusion_biomed_topic"]["config"]
    assert themed["config"]["view"]["fill"] == own["view"]["fill"] and not themed["config"]["axis"].get("domain", True)
    picture = plots.svg(themed)
    assert 'fill="currentColor"' in picture and 'fill="white"' not in picture.split("<g", 1)[0]
    assert "currentColor" not in plots.svg(charts["confusion_biomed_topic"])
