# Learning rate x weight decay for segmentation, around the 1e-3 of the full schedules. All numbers are ours.
_base_ = ['./lr-decay_classification.py']
space = {
    'optim_wrapper.optimizer.lr': dict(type='loguniform', low=1e-4, high=2e-2),
}
