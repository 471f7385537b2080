# Learning rate x weight decay for detection, around the 2e-4 of the full schedules. All numbers are ours.
_base_ = ['./lr-decay_classification.py']
space = {
    'optim_wrapper.optimizer.lr': dict(type='loguniform', low=5e-5, high=5e-3),
}
