# Meta-SpikeFormer 15M, T=4 fine-tuning on ImageNet-1K from the T=1 weights. Numbers: Yao et al., arXiv:2404.03663.
# Without the teacher of the paper's best figures, which the `-distilled` config adds.
_base_ = [
    '../_base_/models/meta-spikeformer_cls.py',
    '../_base_/datasets/imagenet_bs128_meta-spikeformer_224.py',
    '../_base_/schedules/lamb_50e_bs192.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(backbone=dict(arch='15m', time_steps=4), head=dict(in_channels=360))
train_dataloader = dict(batch_size=24)  # four steps need the memory of four images
# your T=1 result belongs here (checkpoint or run folder), or name it with --cfg-options init_from=...
init_from = 'checkpoints/meta-spikeformer-15m_t1.pth'
