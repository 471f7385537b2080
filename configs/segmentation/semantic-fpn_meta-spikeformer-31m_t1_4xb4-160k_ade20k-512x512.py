_base_ = ['./semantic-fpn_meta-spikeformer-15m_t1_4xb4-160k_ade20k-512x512.py']

# no size is published for this one; the neck is as wide as that of 55M: 35,066,262 parameters
model = dict(
    backbone=dict(arch='31m'),
    neck=dict(in_channels=[48, 96, 192, 480], out_channels=256),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
