# Cascade Mask R-CNN on Meta-SpikeFormer 15M, 80 classes. mmdet's R-50 model, with these changes:
_base_ = ['mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py']

model = dict(
    type='spikevision.CascadeRCNN',  # mmdet.CascadeRCNN, with the strides below checked against backbone and neck
    backbone=dict(
        _delete_=True,
        type='spikevision.MetaSpikeFormer',
        arch='15m',
        time_steps=1,
        out_indices=(1, 2, 3, 4)),  # strides 4, 8, 16 and 16: the last stage does not halve the map
    neck=dict(
        _delete_=True,
        type='spikevision.SpikingFPN',
        in_channels=[64, 128, 256, 360],
        out_channels=256,
        num_outs=5),
    rpn_head=dict(
        type='spikevision.SpikingRPNHead',
        anchor_generator=dict(
            strides=[4, 8, 16, 16, 32],  # the true ones
            base_sizes=[4, 8, 16, 32, 64])),  # anchors of 32 to 512 pixels as usual, whatever the strides
    roi_head=dict(
        type='spikevision.SpikingCascadeRoIHead',
        bbox_roi_extractor=dict(
            type='spikevision.SpikingRoIExtractor', featmap_strides=[4, 8, 16, 16]),
        bbox_head=[  # mmdet's three stages; only the type is ours (a list is inherited as a whole or not at all)
            dict(
                type='spikevision.SpikingBBoxHead',
                in_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=stds),
                reg_class_agnostic=True,
                loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0))
            for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
        ],
        mask_roi_extractor=dict(
            type='spikevision.SpikingRoIExtractor', featmap_strides=[4, 8, 16, 16]),
        mask_head=dict(type='spikevision.SpikingMaskHead')))
