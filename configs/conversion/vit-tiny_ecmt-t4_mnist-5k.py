# Converts the small vision transformer beside it: `spikevision convert THIS CHECKPOINT -o OUT`. All numbers are ours.
_base_ = ['./vit-tiny_1xb32-12e_mnist-5k.py']

conversion = dict(preset='ecmt', time_steps=4, calibration_images=128)
