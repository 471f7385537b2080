"""The house rules on imports, read from the source with ``ast``: nothing of the package is imported."""

import ast
import sys
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "spikevision"
FILES = sorted(PACKAGE.rglob("*.py"))
TOOLS = sorted((ROOT / "tools").rglob("*.py"))

# What a part may import of the others. Whatever is not listed is forbidden; a new part gets a line here first.
CORE = {"ops", "neurons", "registry"}
MODEL_PARTS = CORE | {"layers"}
ALLOWED = {
    "__init__": {"compat", "version"},
    "version": set(),
    "compat": set(),
    "registry": {"compat"},
    "ops": set(),
    "neurons": {"ops", "registry"},
    "layers": CORE,
    "backbones": MODEL_PARTS,
    "necks": MODEL_PARTS,
    "heads": MODEL_PARTS,
    # folds, measures and exports any network of ours; jobs bring config and data, and take artefacts for checkpoints
    "deploy": MODEL_PARTS | {"version"},
    "datasets": {"ops", "registry"},
    "distillation": {"jobs", "registry", "tasks"},
    "tasks": set(),
    # populations step in a C kernel; one file makes a converted network a model of a config
    "conversion": {"ops", "registry"},
    "statistics": MODEL_PARTS | {"version"},
    "checkpoints": {"backbones", "compat", "heads"},
    "testing": {"heads"},
    "jobs": {
        "compat",
        "conversion",
        "datasets",
        "deploy",
        "neurons",
        "registry",
        "statistics",
        "tasks",
        "version",
    },
    "cluster": {"compat", "conversion", "jobs", "statistics", "tasks", "version"},
    "cli": {"checkpoints", "cluster", "compat", "datasets", "jobs", "version"},
}

# Libraries that a part may import besides the standard library; None: no rule.
LIBRARIES = {
    "__init__": set(),
    "version": set(),
    "registry": {"mmengine"},
    "ops": {"numpy", "torch"},
    "neurons": {"torch"},
    "layers": {"torch"},
    "backbones": {"torch", "mmengine"},
    "necks": {"torch", "mmengine", "mmcv"},
    "deploy": {"torch"},
    "tasks": set(),
    "conversion": {"mmengine", "torch", "safetensors"},
    "statistics": {"torch", "mmengine"},
    # CLIP's tokenizer and prompts are in mmseg, names of classes in mmpretrain
    "checkpoints": {"torch", "mmpretrain", "mmseg"},
    "distillation": {"torch", "mmengine", "numpy", "safetensors"},
    "cli": {"torch", "mmengine"},
}
TASK_LIBRARIES = {"mmdet", "mmpretrain", "mmseg"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "os.popen",
    "os.system",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "yaml.load",
    "yaml.unsafe_load",
}


def part_of(file: Path) -> str:
    """Folder of the package that a file belongs to; its own name at the root."""
    inside = file.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imported_names(source: str) -> Iterator[str]:
    """Dotted names of everything imported, also inside functions: ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_in(source: str) -> set[str]:
    """Parts of the house that a source imports; the package itself gives nothing but its version."""
    names = [name.split(".") for name in imported_names(source)]
    found = {name[1] if len(name) > 1 else "version" for name in names if name[0] == "spikevision"}
    return {"version" if name == "__version__" else name for name in found}


def libraries_in(source: str) -> set[str]:
    """Third-party libraries that a source imports."""
    found = {name.split(".")[0] for name in imported_names(source)}
    return found - set(sys.stdlib_module_names) - {"spikevision"}


def calls_in(source: str) -> Iterator[tuple[str, ast.Call]]:
    """Dotted name as written, and the call, of every call in a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def forbidden_parts(part: str, source: str) -> set[str]:
    """What a source of this part imports of the house although the house does not allow it."""
    return parts_in(source) - {part} - ALLOWED[part]


def dangerous_calls(source: str) -> set[str]:
    """Calls that run what they are given: code, a shell, a pickle."""
    found = set()
    for name, call in calls_in(source):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if name in FORBIDDEN_CALLS:
            found.add(name)
        if given.get("shell") not in (None, "False"):
            found.add(f"{name}(shell=...)")
        if name.endswith("torch.load") and given.get("weights_only") != "True":
            found.add(f"{name} without weights_only=True")
    return found


def offenders(rule: Callable[[str, str], object], files: list[Path] = FILES) -> dict[str, object]:
    """What a rule of (part, source) finds, by file; files in which it finds nothing are left out."""
    found = {}
    for file in files:
        part = part_of(file) if file.is_relative_to(PACKAGE) else file.parent.name
        found[file.relative_to(ROOT).as_posix()] = rule(part, file.read_text())
    return {file: what for file, what in found.items() if what}


def test_every_part_of_the_house_has_its_rule_and_every_rule_its_part():
    assert {part_of(file) for file in FILES} == set(ALLOWED)
    assert set(LIBRARIES) <= set(ALLOWED)


def test_allowed_imports_go_one_way():
    order = TopologicalSorter(ALLOWED)
    order.prepare()  # raises CycleError when a part could reach itself


def test_each_part_imports_only_the_parts_below_it():
    assert offenders(forbidden_parts) == {}


def test_each_part_imports_only_its_libraries():
    def rule(part, source):
        found = libraries_in(source)
        return found - LIBRARIES.get(part, found)

    assert offenders(rule) == {}


def test_no_file_extends_two_task_libraries():
    """A job may choose among them, inside its functions; a head, neck or dataset may not."""

    def rule(part, source):
        found = libraries_in(source) & TASK_LIBRARIES
        return found if len(found) > 1 and part != "jobs" else set()

    assert offenders(rule) == {}


def test_only_the_cluster_knows_ray():
    def rule(part, source):
        return "ray" in libraries_in(source) and part != "cluster"

    assert offenders(rule) == {}


def test_only_the_command_line_prints():
    def rule(part, source):
        return [call.lineno for name, call in calls_in(source) if name == "print" and part != "cli"]

    assert offenders(rule) == {}


def test_nothing_runs_code_a_shell_or_a_pickle_that_it_is_given():
    assert offenders(lambda part, source: dangerous_calls(source), FILES + TOOLS) == {}


def test_there_is_no_utils():
    assert [str(file) for file in FILES if {"utils", "utils.py"} & set(file.parts)] == []


@pytest.mark.parametrize(
    ("part", "source", "found"),
    [
        ("ops", "from spikevision.neurons import LIF", {"neurons"}),
        ("neurons", "def f():\n    import spikevision.layers.conv", {"layers"}),
        ("heads", "from spikevision import backbones", {"backbones"}),
        ("ops", "import spikevision", {"version"}),
        ("cli", "from spikevision import __version__", set()),
        ("layers", "from spikevision.layers.conv import ConvBN\nimport torch", set()),
    ],
)
def test_the_import_rule_sees_each_way_to_import(part, source, found):
    assert forbidden_parts(part, source) == found


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "pickle.loads(data)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
    ],
)
def test_the_safety_rule_sees_each_dangerous_call(source):
    assert len(dangerous_calls(source)) == 1


@pytest.mark.parametrize(
    "source", ["model.eval()", "subprocess.run(['ls'])", "torch.load(path, weights_only=True)"]
)
def test_the_safety_rule_lets_harmless_calls_pass(source):
    assert dangerous_calls(source) == set()
