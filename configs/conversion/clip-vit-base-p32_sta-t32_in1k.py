# Converts CLIP's ViT-B/32, which classifies by prompts: `spikevision import ViT-B-32.pt --classes imagenet -o clip.pth`, then
# `spikevision convert THIS clip.pth -o OUT`; needs ImageNet.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs64_pil_resize.py',
    '../_base_/models/clip_vit-base-p32.py',
    'mmpretrain::_base_/default_runtime.py',
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=224, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_cfg = dict()
test_cfg = dict()

# 300 training images; the head stays in floating point, both as in the paper (STA, ICLR 2024)
conversion = dict(preset='sta', time_steps=32, calibration_images=300, batch_size=16, rules={'head': None})
