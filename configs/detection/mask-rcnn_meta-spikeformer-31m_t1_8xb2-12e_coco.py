_base_ = ['./mask-rcnn_meta-spikeformer-15m_t1_8xb2-12e_coco.py']

# the wider backbone, and the neck that fits it
model = dict(backbone=dict(arch='31m'), neck=dict(in_channels=[96, 192, 384, 480]))
