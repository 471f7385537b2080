# Mask R-CNN on Meta-SpikeFormer 15M, 80 classes: 34,863,320 parameters, as published. mmdet's R-50 model, with these changes:
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py']

model = dict(
    type='spikevision.MaskRCNN',  # mmdet.MaskRCNN, with the strides below checked against backbone and neck
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
            strides=[4, 8, 16, 16, 32],  # the true ones; the published code says 4, 8, 16, 32, 64
            base_sizes=[4, 8, 16, 32, 64])),  # anchors of 32 to 512 pixels as usual, whatever the strides
    roi_head=dict(
        type='spikevision.SpikingStandardRoIHead',
        bbox_roi_extractor=dict(
            type='spikevision.SpikingRoIExtractor', featmap_strides=[4, 8, 16, 16]),
        bbox_head=dict(type='spikevision.SpikingBBoxHead'),  # form='published' shows reals to fc_cls and fc_reg
        mask_roi_extractor=dict(
            type='spikevision.SpikingRoIExtractor', featmap_strides=[4, 8, 16, 16]),
        mask_head=dict(type='spikevision.SpikingMaskHead')))
