# Converts CLIP's ViT-B/32 for the classes of CIFAR-100: `spikevision import ViT-B-32.pt --classes cifar100 -o clip.pth`, then
# `spikevision convert THIS clip.pth -o OUT`; needs CIFAR-100.
_base_ = [
    'mmpretrain::_base_/datasets/cifar100_bs16.py',
    '../_base_/models/clip_vit-base-p32.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    head=dict(num_classes=100),
    data_preprocessor=dict(to_rgb=False))  # CIFAR's images are RGB
test_pipeline = [
    dict(type='Resize', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='PackInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_cfg = dict()
test_cfg = dict()

# 300 training images; the head stays in floating point, both as in the paper (STA, ICLR 2024)
conversion = dict(preset='sta', time_steps=32, calibration_images=300, batch_size=16, rules={'head': None})
