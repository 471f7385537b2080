import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import batched_nms, bbox_overlaps, nms, nms_match, soft_nms


def slow_iou(a, b, offset=0):
    """Overlap of two boxes, one number at a time."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, 0)
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else math.nan


def slow_nms(boxes, scores, threshold, offset=0):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if not any(slow_iou(boxes[i], boxes[k], offset) > threshold for k in kept):
            kept.append(i)
    return kept


def slow_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    left, scores, taken = list(range(len(boxes))), list(scores), []
    while left:
        best = max(left, key=lambda i: scores[i])
        taken.append((best, scores[best]))
        left.remove(best)
        for i in list(left):
            overlap = slow_iou(boxes[best], boxes[i], offset)
            if method == "gaussian":
                scores[i] *= math.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                scores[i] *= 1 - overlap if method == "linear" else 0
            if scores[i] < min_score:
                left.remove(i)
    return taken


def some_boxes(count, seed=0, distinct_scores=True):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 25, (count, 2))], axis=1)
    scores = rng.permutation(count) / count + 0.001 if distinct_scores else rng.uniform(size=count)
    return torch.from_numpy(boxes), torch.from_numpy(scores)


# whole numbers make overlaps exact and thresholds that they meet exactly likely
corners = st.integers(0, 12)
box = st.tuples(corners, corners, st.integers(1, 8), st.integers(1, 8)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
box_lists = st.lists(box, max_size=12)


@settings(max_examples=80, deadline=None)
@given(
    box_lists, st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.sampled_from([0, 1]), st.randoms()
)
def test_nms_keeps_what_the_slow_loop_keeps(boxes, threshold, offset, random):
    scores = [(i + 1) / 16 for i in range(len(boxes))]
    random.shuffle(scores)
    tensor = torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4)
    dets, kept = nms(tensor, torch.tensor(scores, dtype=torch.float64), threshold, offset=offset)
    assert kept.tolist() == slow_nms(boxes, scores, threshold, offset)
    assert dets.shape == (len(kept), 5)


@settings(max_examples=40, deadline=None)
@given(box_lists.filter(len), st.sampled_from([0.25, 0.5]))
def test_nms_of_what_nms_kept_keeps_everything_in_falling_order(boxes, threshold):
    scores = torch.arange(len(boxes), dtype=torch.float64)
    dets, _ = nms(torch.tensor(boxes, dtype=torch.float64), scores, threshold)
    again, kept = nms(dets[:, :4].contiguous(), dets[:, 4].contiguous(), threshold)
    assert kept.tolist() == list(range(len(dets)))
    assert torch.equal(again, dets)


def test_nms_offset_counts_the_last_pixel():
    # 2 x 2 of 3 x 2 pixels: 2/3 with offset 0; 3 x 3 of 4 x 3 with offset 1: 3/4
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 3, 2]])
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.7, offset=0)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.7, offset=1)[1].tolist() == [0]


def test_nms_at_the_threshold_itself_keeps_the_box():
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [0, 1]


def test_nms_score_threshold_and_max_num_return_indices_into_the_input():
    boxes, scores = some_boxes(20)
    scores[:5] = 0.0
    expected = [i for i in slow_nms(boxes.tolist(), scores.tolist(), 0.4) if scores[i] > 0.2]
    _, kept = nms(boxes, scores, 0.4, score_threshold=0.2, max_num=3)
    assert kept.tolist() == expected[:3]


def test_nms_of_no_boxes_is_empty():
    dets, kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64


def test_nms_takes_and_gives_numpy():
    boxes, scores = some_boxes(8)
    dets, kept = nms(boxes.numpy(), scores.numpy(), 0.4)
    assert isinstance(dets, np.ndarray)
    assert kept.tolist() == slow_nms(boxes.tolist(), scores.tolist(), 0.4)


@pytest.mark.parametrize("split_thr", [10000, 5])
def test_batched_nms_treats_classes_apart(split_thr):
    boxes, scores = some_boxes(24)
    classes = torch.arange(24) % 3
    expected = []
    for label in range(3):
        members = [i for i in range(24) if i % 3 == label]
        kept = slow_nms(boxes[members].tolist(), scores[members].tolist(), 0.3)
        expected += [members[k] for k in kept]
    dets, kept = batched_nms(
        boxes, scores, classes, {"type": "nms", "iou_threshold": 0.3, "split_thr": split_thr}
    )
    assert kept.tolist() == sorted(expected, key=lambda i: -scores[i])
    torch.testing.assert_close(dets[:, :4], boxes[kept])


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("min_score", [0.0, 0.15])
def test_soft_nms_equals_the_slow_loop(method, offset, min_score):
    boxes, scores = some_boxes(25, seed=offset)
    expected = slow_soft_nms(boxes.tolist(), scores.tolist(), 0.3, 0.5, min_score, method, offset)
    dets, kept = soft_nms(
        boxes, scores, 0.3, sigma=0.5, min_score=min_score, method=method, offset=offset
    )
    positive = [(i, s) for i, s in expected if s > 0]  # equal zeros may come in any order
    assert len(kept) == len(expected)
    assert kept.tolist()[: len(positive)] == [i for i, _ in positive]
    assert sorted(kept.tolist()) == sorted(i for i, _ in expected)
    np.testing.assert_allclose(dets[:, 4], [s for _, s in expected], rtol=1e-12)
    assert torch.equal(dets[:, :4], boxes[kept])


def test_soft_nms_leaves_its_arguments_alone_and_takes_no_boxes():
    boxes, scores = some_boxes(25)
    before = scores.clone()
    soft_nms(boxes, scores, method="gaussian")
    assert torch.equal(scores, before)
    dets, kept = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)


def test_soft_nms_drops_only_boxes_that_were_lowered_below_the_minimum():
    # mmcv's documented example: of six boxes the one of score 0 falls, empty boxes stay
    boxes = np.array([[4, 3, 5, 3], [4, 3, 5, 4], *[[3, 1, 3, 1]] * 4], dtype=np.float32)
    scores = np.array([0.9, 0.9, 0.5, 0.5, 0.4, 0.0], dtype=np.float32)
    dets, kept = soft_nms(boxes, scores, 0.6, sigma=0.5)
    assert len(dets) == 5
    assert 5 not in kept.tolist()


def test_nms_match_lists_each_box_once_under_the_box_that_made_it_fall():
    boxes, scores = some_boxes(20, seed=3)
    groups = [g.tolist() for g in nms_match(torch.cat([boxes, scores[:, None]], 1), 0.3)]
    assert [g[0] for g in groups] == slow_nms(boxes.tolist(), scores.tolist(), 0.3)
    assert sorted(sum(groups, [])) == list(range(20))
    leaders = [g[0] for g in groups]
    for rank, (leader, *fallen) in enumerate(groups):
        assert fallen == sorted(fallen, key=lambda i: -scores[i])
        for i in fallen:
            assert slow_iou(boxes[i].tolist(), boxes[leader].tolist()) >= 0.3
            assert all(
                slow_iou(boxes[i].tolist(), boxes[earlier].tolist()) < 0.3
                for earlier in leaders[:rank]
                if scores[earlier] > scores[i]
            )


def test_nms_match_of_no_boxes_has_no_groups():
    assert nms_match(torch.zeros(0, 5), 0.5) == []


@pytest.mark.parametrize("mode", ["iou", "iof"])
@pytest.mark.parametrize("offset", [0, 1])
def test_bbox_overlaps_equals_the_slow_loop(mode, offset):
    one, other = some_boxes(5, seed=1)[0], some_boxes(7, seed=2)[0]
    expected = torch.empty(5, 7, dtype=torch.float64)
    for i, a in enumerate(one.tolist()):
        for j, b in enumerate(other.tolist()):
            iou = slow_iou(a, b, offset)
            area = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
            shared = iou * sum(area) / (1 + iou)
            expected[i, j] = iou if mode == "iou" else shared / area[0]
    torch.testing.assert_close(bbox_overlaps(one, other, mode, offset=offset), expected)
    aligned = bbox_overlaps(one, other[:5], mode, aligned=True, offset=offset)
    torch.testing.assert_close(aligned, expected[:, :5].diagonal())
