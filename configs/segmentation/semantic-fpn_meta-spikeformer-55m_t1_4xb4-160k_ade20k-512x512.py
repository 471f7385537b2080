_base_ = ['./semantic-fpn_meta-spikeformer-15m_t1_4xb4-160k_ade20k-512x512.py']

# 58,992,278 parameters (published: 58.9 M), which a 256-channel neck and a 128-channel head give
model = dict(
    backbone=dict(arch='55m'),
    neck=dict(in_channels=[64, 128, 256, 640], out_channels=256),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
