# UPerNet on Meta-SpikeFormer 15M, 150 classes. No paper has published this combination: widths are chosen here.
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
        out_indices=(1, 2, 3, 4)),  # strides 4, 8, 16, 16: UPerNet works at stride 4
    decode_head=dict(
        type='spikevision.SpikingUPerHead',
        in_channels=[64, 128, 256, 360],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=256,  # stock UPerNet has 512, most of whose cost is one 3x3 convolution at stride 4
        dropout_ratio=0.1,
        num_classes=150,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    auxiliary_head=dict(
        type='spikevision.SpikingFCNHead',
        in_channels=256,
        in_index=2,  # the last but one level, as in stock UPerNet
        channels=256,
        num_convs=1,
        dropout_ratio=0.1,
        num_classes=150,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
# a label beyond the classes stops with the name of its file; stock mmseg drops it from the metric in silence
custom_hooks = [dict(type='spikevision.SegmentationLabelHook')]
