import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from tiny_distillation import STUDENT
from torch import nn

from spikevision.distillation.distiller import convert_inputs
from spikevision.jobs.weights import load_weights

HARD = dict(type="HardLogits", weight=0.5)
SOFT = dict(type="SoftLogits", weight=2.0, temperature=4.0)
FEATURES = dict(type="Features", level=-1, channels=(16, 32), weight=3.0)
ATTENTION = dict(type="AttentionMaps", level=-1)


def total(losses: dict) -> torch.Tensor:
    return sum(value for name, value in losses.items() if "loss" in name)


def test_all_losses_at_once_are_added_with_their_weights(distiller, batch):
    model = distiller(HARD, SOFT, FEATURES, ATTENTION, distillation_head=True, task_weight=0.5)
    student = copy.deepcopy(model.student)  # running statistics, which RepConv's border sees, go on
    losses = model(**batch, mode="loss")
    assert list(losses) == [
        "loss",
        "loss_0_HardLogits",
        "loss_1_SoftLogits",
        "loss_2_Features",
        "loss_3_AttentionMaps",
    ]
    teacher = model.teacher.model
    theirs = teacher(batch["inputs"])
    features = student.extract_feat(batch["inputs"])
    first, second = student.head.forward_heads(features)
    labels = torch.tensor([0, 3, 1])
    expected = [
        0.5 * nn.functional.cross_entropy(first, labels),
        0.5 * nn.functional.cross_entropy(second, theirs.argmax(1)),
        2.0
        * 16
        * nn.functional.kl_div(
            (second / 4).log_softmax(1), (theirs / 4).softmax(1), reduction="batchmean"
        ),
        3.0
        * (model.losses[2].adapter(features[-1].mean(0)) - last_map(teacher, batch, features))
        .square()
        .mean(),
    ]
    found = list(losses.values())[:4]
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=1e-12, atol=1e-12)


def last_map(teacher, batch, features):
    """The teacher's last map at the size of the student's."""
    found = teacher.backbone(batch["inputs"])[-1]
    return nn.functional.interpolate(found, size=features[-1].shape[-2:], mode="bilinear")


def test_without_a_distillation_head_the_logits_of_the_student_learn(distiller, batch):
    model = distiller(HARD)
    losses = model(**batch, mode="loss")
    own, theirs = model.student(batch["inputs"]), model.teacher.model(batch["inputs"])
    expected = 0.5 * nn.functional.cross_entropy(own, theirs.argmax(1))
    torch.testing.assert_close(losses["loss_0_HardLogits"], expected, rtol=1e-12, atol=1e-12)


def test_every_parameter_of_the_student_and_the_adapter_gets_a_gradient(distiller, batch):
    model = distiller(HARD, FEATURES, distillation_head=True)
    total(model(**batch, mode="loss")).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_the_teacher_is_frozen_and_no_part_of_the_model(distiller, batch):
    model = distiller(HARD, FEATURES)
    teacher = model.teacher.model
    before = copy.deepcopy(teacher.state_dict())
    model.train()
    assert not any(module.training for module in teacher.modules())
    inside = {id(module) for module in model.modules()}
    assert not any(id(module) in inside for module in teacher.modules())
    theirs = {id(x) for x in (*teacher.parameters(), *teacher.buffers())}
    assert not theirs & {id(x) for x in (*model.parameters(), *model.buffers())}
    assert not theirs & {id(x) for x in model.state_dict().values()}
    with DefaultScope.overwrite_default_scope("mmengine"):
        wrapper = build_optim_wrapper(model, dict(optimizer=dict(type="SGD", lr=0.1)))
    held = {id(p) for group in wrapper.optimizer.param_groups for p in group["params"]}
    assert not theirs & held
    wrapper.update_params(total(model(**batch, mode="loss")))
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_copy_for_a_moving_average_shares_the_teacher(distiller):
    model = distiller(HARD)
    assert copy.deepcopy(model).teacher is model.teacher


def test_the_checkpoint_is_one_of_the_plain_student(distiller, tmp_path, batch):
    model = distiller(HARD, FEATURES, distillation_head=True)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "w.pth")
    plain = MODELS.build(model_config(distillation_head=True)).double()
    load_weights(plain, tmp_path / "w.pth")
    model.eval(), plain.eval()
    assert torch.equal(plain(batch["inputs"]), model(batch["inputs"]))


def test_the_weights_of_a_plain_student_load_and_leave_the_adapter_as_it_is(
    distiller, tmp_path, batch
):
    model = distiller(FEATURES)
    adapter = model.losses[0].adapter.weight.clone()
    plain = MODELS.build(model_config()).double()
    torch.save(dict(state_dict=plain.state_dict()), tmp_path / "w.pth")
    load_weights(model, tmp_path / "w.pth")
    assert torch.equal(model.student.head.fc.weight, plain.head.fc.weight)
    assert torch.equal(model.losses[0].adapter.weight, adapter)
    state = {name: 2 * value for name, value in model.training_state().items()}
    model.load_training_state(state)
    assert torch.equal(model.losses[0].adapter.weight, 2 * adapter)


def model_config(**head) -> dict:
    """The plain student of the fixtures."""
    return {**STUDENT, "head": {**STUDENT["head"], **head}}


def test_predictions_are_the_students(distiller, batch):
    model = distiller(HARD).eval()
    found = model(**batch, mode="predict")
    expected = model.student(**batch, mode="predict")
    assert all(
        torch.equal(a.pred_score, b.pred_score) for a, b in zip(found, expected, strict=True)
    )


def test_without_training_no_teacher_is_built():
    config = dict(
        type="spikevision.Distiller",
        student=model_config(),
        teacher=dict(config=dict(type="NoSuchModel"), checkpoint="nowhere.pth"),
        losses=[HARD],
    )
    model = MODELS.build(config).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_cached_answers_give_the_same_losses_without_the_teacher(distiller, batch, tmp_path):
    losses = (HARD, SOFT, FEATURES, ATTENTION)
    plain = distiller(*losses)(**batch, mode="loss")
    model = distiller(*losses, cache_dir=str(tmp_path))
    assert_same(model(**batch, mode="loss"), plain)
    again = distiller(*losses, cache_dir=str(tmp_path))
    teacher = again.teacher.model
    teacher.forward = None  # would fail
    assert_same(again(**batch, mode="loss"), plain)
    del teacher.forward
    batch["inputs"][1] += 1e-9  # one sample is another: only that one is asked for
    sizes = []
    teacher.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    again(**batch, mode="loss")
    assert sizes == [1]


def assert_same(one: dict, two: dict) -> None:
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_teacher_or_another_question_finds_nothing_in_the_cache(
    distiller, batch, tmp_path, teacher
):
    distiller(SOFT, cache_dir=str(tmp_path))(**batch, mode="loss")
    other = torch.load(teacher["checkpoint"], weights_only=True)
    other["state_dict"]["head.fc.bias"][0] += 1
    torch.save(other, tmp_path / "other.pth")
    changed = dict(teacher, checkpoint=str(tmp_path / "other.pth"))
    distiller(SOFT, cache_dir=str(tmp_path), teacher=changed)(**batch, mode="loss")
    distiller(HARD, cache_dir=str(tmp_path))(**batch, mode="loss")
    model = distiller(SOFT, cache_dir=str(tmp_path))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.teacher.targets(batch["inputs"])
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert [len(list(folder.rglob("*.safetensors"))) for folder in folders] == [3] * 4


def test_a_teacher_with_other_normalisation_sees_the_images_as_it_knows_them():
    def preprocessor(**kwargs):
        return MODELS.build(dict(type="ClsDataPreprocessor", **kwargs)).double()

    images = [torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8)]
    first = preprocessor(mean=[100.0, 110, 120], std=[50.0, 60, 70], to_rgb=True)
    second = preprocessor(mean=[1.0, 2, 3], std=[4.0, 5, 6], to_rgb=False)
    third = preprocessor()
    batches = [p(dict(inputs=images))["inputs"].double() for p in (first, second, third)]
    for source, given in zip((first, second, third), batches, strict=True):
        for target, expected in zip((first, second, third), batches, strict=True):
            found = convert_inputs(given, source, target)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    assert convert_inputs(batches[0], first, first) is batches[0]


def test_a_teacher_without_a_preprocessor_of_its_own_gets_the_students_images(
    distiller, batch, teacher
):
    config = {
        name: value for name, value in teacher["config"].items() if name != "data_preprocessor"
    }
    plain, own = (
        distiller(SOFT, teacher=dict(teacher, config=each))(**batch, mode="loss")
        for each in (config, teacher["config"])  # the latter has the student's mean and deviation
    )
    assert_same(plain, own)
    other = {**config, "data_preprocessor": dict(mean=[0.0] * 3, std=[255.0] * 3)}
    found = distiller(SOFT, teacher=dict(teacher, config=other))(**batch, mode="loss")
    assert found["loss_0_SoftLogits"] != plain["loss_0_SoftLogits"]


# --- bad input -----------------------------------------------------------------------------------------------------


def test_a_teacher_of_another_class_count_is_refused(distiller, batch, teacher, tmp_path):
    config = copy.deepcopy(teacher["config"])
    config["head"]["num_classes"] = 7
    torch.save(MODELS.build(config).state_dict(), tmp_path / "w.pth")
    model = distiller(teacher=dict(config=config, checkpoint=str(tmp_path / "w.pth")))
    with pytest.raises(ValueError, match="teacher's logits have 7 classes .* student's 5"):
        model(**batch, mode="loss")


def test_a_teacher_checkpoint_with_missing_keys_is_refused(distiller, teacher, tmp_path):
    state = torch.load(teacher["checkpoint"], weights_only=True)["state_dict"]
    del state["head.fc.bias"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"teacher: .* 1 missing: head\.fc\.bias"):
        distiller(teacher=dict(teacher, checkpoint=str(tmp_path / "w.pth")))


def test_a_teacher_without_weights_is_refused(distiller, teacher, tmp_path):
    with pytest.raises(ValueError, match=r"set teacher\.checkpoint"):
        distiller(teacher=dict(config=teacher["config"]))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        distiller(teacher=dict(teacher, checkpoint=str(tmp_path / "nowhere.pth")))


def test_a_teacher_given_as_a_bare_model_is_refused(distiller, teacher):
    with pytest.raises(ValueError, match="a model dict goes into config"):
        distiller(teacher=teacher["config"])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            dict(HARD, student="head.fcc"),
            r"the student .* no module 'head.fcc'; near names: head.fc",
        ),
        (
            dict(HARD, teacher="backbon"),
            r"the teacher .* no module 'backbon'; near names: backbone",
        ),
        (dict(HARD, distillation_head=True), r"set student\.head\.distillation_head=True"),
        (dict(type="Hard"), "unknown distillation loss 'Hard'; known are HardLogits"),
    ],
)
def test_a_loss_that_cannot_be_is_refused_when_training_starts(distiller, loss, message):
    with pytest.raises(ValueError, match=message):
        distiller(loss)


def test_a_distillation_head_that_nothing_trains_is_refused(distiller):
    with pytest.raises(ValueError, match="no loss trains it"):
        distiller(ATTENTION, distillation_head=True)


def test_a_distillation_without_losses_is_refused(teacher):
    config = dict(student=model_config(), teacher=teacher, losses=[])
    with pytest.raises(ValueError, match="needs losses"):
        MODELS.build(dict(type="spikevision.Distiller", **config))
