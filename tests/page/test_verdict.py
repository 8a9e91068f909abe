"""The verdict says who was best, how sure that is, and what the numbers do not say."""

from dataclasses import replace

from page_runs import reasons
from result_rows import BOUNDED, COMPARED, RESULTS, bounded, result

from ood_lightning.page.verdict import verdict


def test_three_sentences_with_intervals_and_the_difference():
    said = verdict(BOUNDED, COMPARED, {"encoder": "tiny"}, [])
    compared, came_out, sure = said.sentences
    assert compared.startswith(
        "2 detectors with tiny told birds (100 pictures) from 3 out-of-distribution sets (120 pic"
    )
    assert "Without class names ClusterMine (given id_images) is best, with a mean AUROC of 85.00 [10.00" in came_out
    assert "with class names it is MCM (given id_names), with 83.00 [10.00" in came_out
    assert sure.startswith("ClusterMine minus MCM is +2.00 points of AUROC [-1.00, +5.00], which chance")
    assert "alone can explain (p = 0.250" in sure
    assert "bootstrap intervals over the pictures" in said.cautions[0]


def test_a_difference_beyond_chance_is_called_so():
    pair = replace(COMPARED[0], difference_low=0.01)
    assert "alone does not explain" in verdict(BOUNDED, [pair], {}, []).sentences[2]


def test_without_comparisons_the_hardest_set_is_named():
    sure = verdict(RESULTS, [], {}, []).sentences[-1]
    assert sure == "Hardest for ClusterMine is near1 with an AUROC of 75.00 %, easiest far1 with 95.00 %."
    assert not [line for line in verdict(RESULTS, [], {}, []).cautions if "bootstrap" in line]


def test_one_detector_on_one_set_says_how_wide_its_interval_is():
    row = bounded(result("LabelMass", "food", 0.15, supervision=("id_images",)))
    said = verdict([row], [], {}, [])
    assert "LabelMass (given id_images) reaches a mean AUROC of 15.00" in said.sentences[1]
    assert said.sentences[2].endswith("100 ID pictures and 40 OOD pictures leave the AUROC within 10.0 points.")


def test_a_run_without_ood_sets_says_that_nothing_is_compared():
    one = replace(reasons(), statements=("Calibrated on 59 images.",))
    said = verdict([], [], {}, [one])
    assert "nothing is compared" in said.sentences[0]
    assert said.promises == ("Calibrated on 59 images.",)


def test_streams_and_failed_gates_are_remarked():
    stream = [replace(row, stream=True, orders=3) for row in RESULTS]
    gate = {"top1": [{"set": "birds", "percent": 10.0, "published": 70.0, "passes": False}]}
    said = verdict(stream, [], gate, [])
    assert "saw the test pictures" in said.cautions[-1]
    assert "the model gate was not passed" in said.remarks[0]
