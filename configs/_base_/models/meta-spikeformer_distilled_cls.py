# Meta-SpikeFormer with a second classifier that learns the decisions of CAFormer-B36 (ImageNet-21k, then ImageNet-1k) from
# timm: 0.5 x the label loss of the first one + 0.5 x hard distillation of the second; answers are the mean of both. Needs
# `pip install -e ".[distill]"`; the teacher's weights are fetched by timm when training starts (or set pretrained_cfg_overlay=dict(file=...)).
model = dict(
    type='spikevision.Distiller',
    student=dict(
        type='ImageClassifier',
        backbone=dict(type='spikevision.MetaSpikeFormer', time_steps=4),
        head=dict(
            type='spikevision.SpikingClsHead',
            num_classes=1000,
            in_channels=640,
            distillation_head=True,
            loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'))),
    teacher=dict(
        config=dict(
            type='TimmClassifier',
            model_name='caformer_b36.sail_in22k_ft_in1k',
            pretrained=True,
            data_preprocessor=dict(  # of ImageNet, as timm's weights expect
                mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True))),
    losses=[dict(type='HardLogits', weight=0.5, distillation_head=True)],
    task_weight=0.5)
