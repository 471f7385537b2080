# Learning rate x weight decay. Both work by their order of magnitude. All numbers are ours.
space = {
    'optim_wrapper.optimizer.lr': dict(type='loguniform', low=1e-4, high=1e-2),
    'optim_wrapper.optimizer.weight_decay': dict(type='loguniform', low=1e-3, high=0.2),
}
search = dict(type='optuna', trials=24, seed=0)
scheduler = dict(type='asha', factor=3)
