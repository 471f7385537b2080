# Fashion-MNIST (`spikevision prepare fashion-mnist`): 60,000 to train on, 10,000 to test; grey 28x28, padded to 32x32 so
# that a stride of 16 divides the size.
data_preprocessor = dict(num_classes=10, mean=[72.9], std=[90.0], to_rgb=False)

train_pipeline = [
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='Pad', size=(34, 34), pad_val=0),
    dict(type='RandomCrop', crop_size=32),  # shifts of up to 1 pixel
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='Pad', size=(34, 34), pad_val=0),
    dict(type='CenterCrop', crop_size=32),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type='FashionMNIST', data_root='data/fashion-mnist', split='train', download=False, pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=250,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type='FashionMNIST', data_root='data/fashion-mnist', split='test', download=False, pipeline=test_pipeline,
        test_mode=True),  # without it mmpretrain reads the training files whatever the split
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=1)
test_dataloader = val_dataloader
test_evaluator = val_evaluator
