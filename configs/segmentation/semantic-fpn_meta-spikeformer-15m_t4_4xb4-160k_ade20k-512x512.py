_base_ = ['./semantic-fpn_meta-spikeformer-15m_t1_4xb4-160k_ade20k-512x512.py']

# four time steps through backbone, neck and head; only the logits are averaged
model = dict(backbone=dict(time_steps=4))
# as published, start from the T=1 segmentor (the weights do not depend on T):
#   --cfg-options load_from=work_dirs/.../iter_160000.pth
optim_wrapper = dict(
    type='AmpOptimWrapper',  # four times the activations: half precision keeps four images on a GPU
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=2.0))))  # as published for T=4
