"""Packaging of spikevision; tool settings are in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = (ROOT / "spikevision" / "version.py").read_text().split('"')[-2]

# one minor version: the shape of a saved run and the wire between nodes may change with it
RAY = ["ray[default,train,tune,data]==2.60.*", "cryptography>=42", "optuna>=4,<5", "psutil"]


class BuildWithConfigs(build_py):
    """Puts configs/ into a wheel as spikevision/.mim/configs, where the mm libraries keep theirs."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "spikevision" / ".mim" / "configs"
            shutil.copytree(ROOT / "configs", target, dirs_exist_ok=True)


setup(
    name="spikevision",
    version=VERSION,
    description="Spiking vision on stock OpenMMLab: train, convert, measure and scale spiking networks",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["spikevision", "spikevision.*"]),
    package_data={
        "spikevision.datasets": ["data-requirements.txt"],
        "spikevision.ops": ["*.c"],
    },
    cmdclass={"build_py": BuildWithConfigs},
    python_requires=">=3.11,<3.13",
    install_requires=[
        "torch>=2.13,<2.15",
        "torchvision>=0.28,<0.30",
        "numpy>=2,<3",
        "mmengine==0.10.7",
        "mmcv-lite==2.1.0",
        "mmdet==3.3.0",
        "mmsegmentation==1.2.2",
        "mmpretrain==1.2.0",
        # imported by mmsegmentation 1.2.2, which does not declare them
        "ftfy",
        "regex",
        "packaging",
        "pillow",
        "pycocotools",
        "safetensors",
    ],
    extras_require={
        "distill": ["timm>=1.0,<2"],
        "events": ["aedat>=2.3,<3"],
        "report": ["plotly>=7,<8"],
        "ray": RAY,
        "dev": [
            *RAY,
            "aedat>=2.3,<3",
            "flask",
            "flask-cors",
            "hypothesis",
            "jsonschema",
            "moto[s3]>=5.2,<6",
            "mypy",
            "onnx>=1.20,<2",
            "onnxruntime>=1.22,<2",
            "playwright>=1.50,<2",
            "plotly>=7,<8",
            "pre-commit",
            "pytest",
            "pytest-xdist>=3.6,<4",
            "ruff",
            "timm>=1.0,<2",
        ],
    },
    entry_points={"console_scripts": ["spikevision=spikevision.cli.main:main"]},
)
