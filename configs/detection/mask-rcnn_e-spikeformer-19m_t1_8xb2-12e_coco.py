_base_ = ['./mask-rcnn_meta-spikeformer-15m_t1_8xb2-12e_coco.py']

# E-SpikeFormer 19M in the place of Meta-SpikeFormer, integer neurons everywhere: 38,738,616 parameters. As published,
# the backbone hands on S / 4 (its default), neck and heads whole numbers.
neuron = dict(type='spikevision.IntegerLIF', levels=4)
model = dict(
    backbone=dict(
        _delete_=True,
        type='spikevision.ESpikeFormer',
        arch='19m',
        time_steps=1,
        out_indices=(1, 2, 3, 4)),
    neck=dict(neuron=neuron),
    rpn_head=dict(neuron=neuron),
    roi_head=dict(bbox_head=dict(neuron=neuron), mask_head=dict(neuron=neuron)))
