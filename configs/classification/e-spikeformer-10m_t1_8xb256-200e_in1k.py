# E-SpikeFormer 10M, D = 4, trained from scratch on ImageNet-1K. Numbers: Yao et al., arXiv:2411.16061.
_base_ = [
    '../_base_/models/e-spikeformer_cls.py',
    '../_base_/datasets/imagenet_bs256_e-spikeformer_224.py',
    '../_base_/schedules/lamb_200e_bs2048.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(arch='10m'),
    head=dict(in_channels=240))
