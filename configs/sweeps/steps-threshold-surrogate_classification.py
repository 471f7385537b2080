# Time steps x threshold x surrogate: accuracy and energy both depend on all three. All numbers are ours.
space = {
    'time_steps': dict(type='choice', values=[1, 2, 4]),
    'model.*neuron.v_threshold': dict(
        type='choice', values=[0.5, 0.75, 1.0]
    ),  # all neurons move together
    'model.*neuron.surrogate': dict(type='choice', values=['sigmoid', 'atan', 'rectangular']),
}
search = dict(type='optuna', trials=24, seed=0)
scheduler = dict(type='asha', factor=3)
