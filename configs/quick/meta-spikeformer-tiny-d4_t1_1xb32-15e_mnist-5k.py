# The quick start with integer neurons: 0 to 4 spikes in one time step, which `unroll_` turns into 4 binary steps. All numbers are ours.
_base_ = ['./meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py']

neuron = dict(type='spikevision.IntegerLIF', levels=4)
# _delete_: an integer neuron has no surrogate to choose
model = dict(
    backbone=dict(time_steps=1, neuron=dict(_delete_=True, **neuron)),
    head=dict(neuron=dict(_delete_=True, **neuron)))
