# ImageNet-1K as Meta-SpikeFormer's recipe has it: mmpretrain's Swin pipeline is the same (random resized crop,
# rand-m9-mstd0.5-inc1, random erasing 0.25, no colour jitter; test: resize 256 bicubic, centre crop 224).
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py']

train_dataloader = dict(batch_size=128)  # per GPU, 8 GPUs
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)
