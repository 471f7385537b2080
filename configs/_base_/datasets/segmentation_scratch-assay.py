# Real microscopy (`spikevision prepare scratch-assay`): 18 tiles of 192x210 to train on, 6 of later frames held out; every
# pixel is background, cell or nucleus.
data_root = 'data/scratch-assay/'
metainfo = dict(
    classes=('background', 'cell', 'nucleus'),
    palette=[[40, 40, 40], [66, 135, 245], [245, 170, 66]])

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomCrop', crop_size=(192, 192)),  # a multiple of the stride, nothing to pad
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),  # no side is up
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='RepeatDataset',  # an epoch of 9 iterations would spend its time on validation
        times=4,
        dataset=dict(
            type='BaseSegDataset',
            data_root=data_root,
            img_suffix='.png',
            reduce_zero_label=True,  # in the files 0 is unlabelled and 1 the first class
            metainfo=metainfo,
            data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
            pipeline=train_pipeline)))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_root=data_root,
        img_suffix='.png',
        reduce_zero_label=True,
        metainfo=metainfo,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_dataloader = val_dataloader
test_evaluator = val_evaluator
