# Mask R-CNN on a tiny Meta-SpikeFormer for small objects: 2 categories, boxes of 8 to 80 pixels. All numbers are ours.
_base_ = ['./detection_mask-rcnn_meta-spikeformer-15m.py']

neuron = dict(type='spikevision.LIF', v_threshold=0.5, surrogate='atan')  # from scratch, see configs/quick/README.md
norm = dict(type='BN')
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=(16, 32, 48, 64), num_heads=1, depths=(1, 1)),
        time_steps=4,
        out_indices=(1, 2, 4),  # strides 4, 8, 16
        neuron=neuron),
    neck=dict(in_channels=[16, 32, 64], out_channels=32, num_outs=3, norm_cfg=norm, neuron=neuron),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        neuron=neuron,
        anchor_generator=dict(strides=[4, 8, 16], base_sizes=[12, 24, 48], scales=[1])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32, featmap_strides=[4, 8, 16], finest_scale=12),
        bbox_head=dict(
            in_channels=32, fc_out_channels=128, num_classes=2, norm_cfg=dict(type='BN1d'), neuron=neuron),
        mask_roi_extractor=dict(out_channels=32, featmap_strides=[4, 8, 16], finest_scale=12),
        mask_head=dict(
            num_convs=2,
            in_channels=32,
            conv_out_channels=32,
            num_classes=2,
            norm_cfg=norm,
            neuron=neuron)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)))
