"""The command line: parse, call a job, print. One thin file per verb, imported only when that verb is called.

Each verb module has ``HELP: str``, ``add_arguments(parser)`` and ``run(args) -> int`` (the exit status).
"""
