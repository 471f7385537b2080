_base_ = ['./semantic-fpn_meta-spikeformer-15m_t1_4xb4-160k_ade20k-512x512.py']

# E-SpikeFormer 19M in the place of Meta-SpikeFormer, integer neurons that hand on S / 4 everywhere, and a neck with norms
neuron = dict(type='spikevision.IntegerLIF', levels=4, normalise=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type='spikevision.ESpikeFormer',
        arch='19m',
        time_steps=1,
        out_indices=(0, 1, 2, 4)),
    neck=dict(neuron=neuron, norm_cfg=dict(type='BN')),
    decode_head=dict(neuron=neuron))
