# Meta-SpikeFormer 55M, T=1 pre-training on ImageNet-1K. Numbers: Yao et al., arXiv:2404.03663.
_base_ = [
    '../_base_/models/meta-spikeformer_cls.py',
    '../_base_/datasets/imagenet_bs128_meta-spikeformer_224.py',
    '../_base_/schedules/lamb_200e_bs1024.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(arch='55m', time_steps=1),  # one step; fine-tuning goes on at four
    head=dict(in_channels=640))
