# 5,000 real digits (`spikevision prepare mnist-5k`): 4,000 to train on, 1,000 held out; 28x28, padded to 32x32 so that
# the backbone's stride of 16 divides the size.
data_preprocessor = dict(num_classes=10, mean=[33.3] * 3, std=[78.6] * 3, to_rgb=False)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Pad', size=(36, 36), pad_val=0),
    dict(type='RandomCrop', crop_size=32),  # shifts of up to 2 pixels
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Pad', size=(36, 36), pad_val=0),
    dict(type='CenterCrop', crop_size=32),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(type='CustomDataset', data_root='data/mnist-5k/train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(type='CustomDataset', data_root='data/mnist-5k/test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=1)
test_dataloader = val_dataloader
test_evaluator = val_evaluator
