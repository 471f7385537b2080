# CIFAR-100 as Spikformer's recipe has it, as far as it is known: crop with padding 4, flip, rand-m9-n1-mstd0.4-inc1,
# random erasing 0.25. The published code draws from an op set of its own; this is mmpretrain's timm set.
_base_ = ['mmpretrain::_base_/datasets/cifar100_bs16.py']

mean = [129.304, 124.070, 112.434]
std = [68.170, 65.392, 70.418]
train_pipeline = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=1,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.4,
        hparams=dict(pad_val=[round(x) for x in mean], interpolation='bicubic')),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=mean,
        fill_std=std),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)
