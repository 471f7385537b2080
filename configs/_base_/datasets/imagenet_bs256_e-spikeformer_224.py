# ImageNet-1K as E-SpikeFormer's recipe has it: Meta-SpikeFormer's, but tested on the centre 224 of a short side of 232.
_base_ = ['./imagenet_bs128_meta-spikeformer_224.py']

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=232, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=256)  # per GPU, 8 GPUs
val_dataloader = dict(batch_size=256, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=256, dataset=dict(pipeline=test_pipeline))
