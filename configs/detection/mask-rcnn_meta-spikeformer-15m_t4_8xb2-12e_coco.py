_base_ = ['./mask-rcnn_meta-spikeformer-15m_t1_8xb2-12e_coco.py']

# four time steps through backbone, neck and heads; only the logits are averaged
model = dict(backbone=dict(time_steps=4))
# a detector trained at T=1 is a good start (the weights do not depend on T): --cfg-options load_from=CHECKPOINT
# four times the activations: half precision keeps two images on a GPU
optim_wrapper = dict(type='AmpOptimWrapper')
