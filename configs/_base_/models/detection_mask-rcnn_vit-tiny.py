# Mask R-CNN on a tiny plain vision transformer for small objects, in the manner of ViTDet (arXiv:2203.16527): an ordinary
# network, to be trained and then converted into a spiking one. 2 categories, boxes of 8 to 80 pixels. All numbers are ours.
_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=384),
        img_size=(192, 224),
        patch_size=8,
        with_cls_token=False,
        out_type='featmap'),  # the map of the last block alone
    neck=dict(
        _delete_=True,
        type='spikevision.SimpleFeaturePyramid',
        in_channels=96,
        out_channels=64,
        scales=[2, 1, 0.5],  # strides 4, 8, 16 from patches of 8 pixels
        num_outs=3),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(strides=[4, 8, 16], base_sizes=[12, 24, 48], scales=[1])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64, featmap_strides=[4, 8, 16], finest_scale=12),
        bbox_head=dict(in_channels=64, fc_out_channels=128, num_classes=2),
        mask_roi_extractor=dict(out_channels=64, featmap_strides=[4, 8, 16], finest_scale=12),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=2)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)))
