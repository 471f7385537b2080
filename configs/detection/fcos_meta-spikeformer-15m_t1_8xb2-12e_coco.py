_base_ = [
    '../_base_/models/detection_fcos_meta-spikeformer-15m.py',
    '../_base_/datasets/detection_coco-multiscale.py',
    '../_base_/schedules/detection_adamw-12e.py',
    'mmdet::_base_/default_runtime.py',
]
# as mmdet's FCOS: distances are exponentials, whose first gradients are clipped
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
