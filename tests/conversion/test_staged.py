"""Models of the mm libraries in predict mode: stages on streams, decoding on means."""

import copy
import threading

import pytest
import torch
from tiny_tasks import detection_data, vit_det
from torch import nn

from spikevision.conversion import STAConfig, calibrate, convert
from spikevision.conversion.staged import is_task_data, link_stages

DATA = detection_data((32, 32), (32, 40))


@pytest.fixture(scope="module")
def detector():
    return vit_det()


@pytest.fixture(scope="module")
def exact(detector):
    return convert(detector, [DATA], STAConfig(preset="exact"))


def assert_same_detections(found, wanted, *, atol):
    for a, b in zip(found, wanted, strict=True):
        a, b = a.pred_instances, b.pred_instances
        torch.testing.assert_close(a.bboxes, b.bboxes, rtol=0, atol=atol)
        torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=atol)
        assert torch.equal(a.labels, b.labels)
        assert torch.equal(a.masks, b.masks)


def test_a_detector_without_spikes_answers_as_its_ann_at_every_step(exact):
    wanted = exact.ann(**DATA)
    assert all(len(sample.pred_instances) == 3 for sample in wanted)
    for found in exact.run(DATA, 3, at=[1, 2, 3]).values():
        assert_same_detections(found, wanted, atol=1e-4)


def test_every_part_of_a_detector_is_converted(detector):
    report = convert(detector, [DATA], STAConfig(preset="ecmt")).report
    names = " ".join(population.name for population in report.populations)
    parts = ("backbone", "neck", "rpn_head", "roi_head.bbox_head", "roi_head.mask_head")
    assert [part for part in parts if part not in names] == []
    assert report.images == 2


def test_boxes_and_scores_approach_those_of_the_ann(detector):
    snn = convert(detector, [DATA], STAConfig(preset="ecmt"))
    wanted, without = snn.ann(**DATA), snn.without_spikes(**DATA)
    assert_same_detections(without, wanted, atol=1e-4)  # operators are exact
    curve = snn.run(DATA, 32, at=[1, 8, 32])
    error = {
        t: max(
            float((a.pred_instances.scores - b.pred_instances.scores).abs().max())
            for a, b in zip(found, wanted, strict=True)
        )
        for t, found in curve.items()
    }
    assert error[32] < 0.01 < error[1]


def test_a_read_out_does_not_depend_on_others_of_the_same_run(detector):
    snn = convert(detector, [DATA], STAConfig(preset="ecmt"))
    together = snn.run(DATA, 3, at=[1, 3])
    assert_same_detections(together[1], snn.run(DATA, 1)[1], atol=0)
    assert_same_detections(together[3], snn.run(DATA, 3)[3], atol=0)
    steps = dict(snn.steps(**DATA, time_steps=3))
    assert_same_detections(steps[3], together[3], atol=0)


def test_it_is_tested_as_any_other_mm_model(exact):
    data = copy.deepcopy(DATA)
    snn = copy.deepcopy(exact)  # links go with the copy
    assert_same_detections(snn.test_step(data), exact.ann(**DATA), atol=1e-4)
    assert "pred_instances" not in data["data_samples"][0]


def test_calibration_leaves_no_links_and_a_network_alone_has_none(detector):
    calibrate(detector, [DATA])
    assert not any("forward" in vars(module) for module in detector.modules())
    assert "extract_feat" not in vars(detector)
    link_stages(nn.Linear(2, 2))()
    assert not is_task_data(nn.Linear(2, 2), DATA)


def test_events_of_all_stages_are_counted(detector):
    events = convert(detector, [DATA], STAConfig(preset="ecmt")).count_events(DATA, 2)
    assert {name.split(".")[0] for name in events} == {"backbone", "neck", "rpn_head", "roi_head"}


def test_two_threads_may_use_one_detector(detector):
    snn = convert(detector, [DATA], STAConfig(preset="ecmt", time_steps=2))
    batches = [detection_data((32, 32)), detection_data((48, 32), (24, 40), (32, 32), seed=1)]
    alone = [snn.test_step(batch) for batch in batches]
    together = {}
    threads = [
        threading.Thread(target=lambda i=i: together.update({i: snn.test_step(batches[i])}))
        for i in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in (0, 1):
        assert_same_detections(together[i], alone[i], atol=0)


def test_a_detector_that_finds_nothing_answers_with_nothing(detector):
    strict = copy.deepcopy(detector)
    strict.roi_head.test_cfg.score_thr = 2.0
    snn = convert(strict, [DATA], STAConfig(preset="ecmt"))
    assert [len(sample.pred_instances) for sample in snn.run(DATA, 2)[2]] == [0, 0]
    snn.model.roi_head.test_cfg.score_thr = 0.0  # calibration had no box to show to the mask head
    with pytest.raises(ValueError, match=r"calibration never saw roi_head\.mask_head.*same path"):
        snn.run(DATA, 2)


def test_a_model_whose_parts_are_not_known_is_an_error(detector):
    headless = copy.deepcopy(detector)
    headless.rpn_head = None
    with pytest.raises(ValueError, match="MaskRCNN has none of encode_decode"):
        convert(headless, [DATA])


def test_values_that_are_not_finite_are_an_error_that_names_the_part(detector):
    broken = copy.deepcopy(detector)
    with torch.no_grad():
        broken.neck.outputs[0][0].conv.weight.fill_(torch.inf)
    with pytest.raises(ValueError, match=r"neck\.outputs\.0.*not finite"):
        convert(broken, [DATA])
