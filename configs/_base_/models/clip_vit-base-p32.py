# CLIP's ViT-B/32 (arXiv:2103.00020) as a zero-shot classifier, from parts of mmpretrain; weights by `spikevision import`.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch='b',
        img_size=224,
        patch_size=32,
        pre_norm=True,
        norm_cfg=dict(type='LN', eps=1e-5),  # torch's default, which CLIP has; mmpretrain's is 1e-6
        layer_cfgs=dict(act_cfg=dict(type='QuickGELU'))),
    head=dict(type='spikevision.ZeroShotClsHead', num_classes=1000, in_channels=768, embed_dims=512, topk=(1, 5)),
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[122.7709383, 116.7460125, 104.09373615],  # of CLIP's training images
        std=[68.5005327, 66.6321579, 70.32316305],
        to_rgb=True))
