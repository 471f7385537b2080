_base_ = ['./semantic-fpn_e-spikeformer-19m_t1_4xb4-160k_ade20k-512x512.py']

# the smaller backbone, and the neck that fits it
model = dict(backbone=dict(arch='10m'), neck=dict(in_channels=[24, 48, 96, 240]))
