_base_ = ['./mask-rcnn_e-spikeformer-19m_t1_8xb2-12e_coco.py']

# the smaller backbone with the narrower neck and heads that were published with it: 21,172,240 parameters
model = dict(
    backbone=dict(arch='10m'),
    neck=dict(in_channels=[48, 96, 192, 240], out_channels=192),
    rpn_head=dict(in_channels=192, feat_channels=192),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=192),
        bbox_head=dict(in_channels=192, fc_out_channels=768),
        mask_roi_extractor=dict(out_channels=192),
        mask_head=dict(in_channels=192, conv_out_channels=192)))
