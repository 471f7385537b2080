# Semantic-FPN on Meta-SpikeFormer 15M, 150 classes: 16,470,142 parameters (published: 16.5 M).
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],  # of ImageNet, RGB, as the backbone was pre-trained
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(512, 512),  # training: crops that an image does not fill
    test_cfg=dict(size_divisor=16))  # testing: images keep their shape, the backbone wants multiples of its stride
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='spikevision.MetaSpikeFormer',
        arch='15m',
        time_steps=1,
        out_indices=(0, 1, 2, 4)),  # true strides 2, 4, 8, 16, as published; level 3 has stride 16 as well
    neck=dict(
        type='spikevision.SpikingFPN',
        in_channels=[32, 64, 128, 360],
        out_channels=128,  # the width that gives the published size of 16.5 M
        num_outs=4),
    decode_head=dict(
        type='spikevision.SpikingFPNHead',
        in_channels=[128, 128, 128, 128],
        in_index=[0, 1, 2, 3],
        feature_strides=[2, 4, 8, 16],  # logits at stride 2; published as 4, 8, 16, 32, of which only ratios count
        channels=128,
        dropout_ratio=0.0,  # the published head has no dropout before its classifier
        num_classes=150,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
# a label beyond the classes stops with the name of its file; stock mmseg drops it from the metric in silence
custom_hooks = [dict(type='spikevision.SegmentationLabelHook')]
