# FCOS on Meta-SpikeFormer 15M, 80 classes. Head and post-processing of mmdet's fcos_r50-caffe_fpn_gn-head_1x_coco, which has no
# base file to inherit; what differs is said.
model = dict(
    type='spikevision.FCOS',  # mmdet.FCOS, with the strides below checked against backbone and neck
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],  # of ImageNet, RGB, as the backbone was pre-trained
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(
        type='spikevision.MetaSpikeFormer',
        arch='15m',
        time_steps=1,
        out_indices=(2, 3, 4)),  # strides 8, 16 and 16: the last stage does not halve the map
    neck=dict(
        type='spikevision.SpikingFPN',
        in_channels=[128, 256, 360],
        out_channels=256,
        num_outs=5,
        extra_levels='on_output'),  # as in FCOS; its neurons take the place of the ReLU
    bbox_head=dict(
        type='spikevision.SpikingFCOSHead',
        num_classes=80,
        in_channels=256,
        stacked_convs=4,
        feat_channels=256,  # and no group norm, which could not be folded into spike-driven convolutions
        strides=[8, 16, 16, 32, 64],  # the true ones; sizes of objects per level stay those of FCOS
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='IoULoss', loss_weight=1.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
    train_cfg=None,
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=100))
