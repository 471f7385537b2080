_base_ = [
    '../_base_/models/segmentation_upernet_meta-spikeformer-15m.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/default_runtime.py',
    '../_base_/schedules/segmentation_adamw-160k.py',
]

# UPerNet has no neck; its auxiliary head starts from nothing like the decode head
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(auxiliary_head=dict(lr_mult=2.0))))
