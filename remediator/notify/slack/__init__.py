"""Slack: one message for each run, edited in place; its thread; one message for a storm of runs.

`notifier` (what is sent when), `blocks` (a run as Block Kit), `plans` (its steps, short and whole),
`storm`, `modals`, `home`, `buttons`, `words`, `text` (masking, escaping, cutting), `routes` (which
channel, whom it rings), `interactions` (what Slack sends → what somebody did), `commands` (what
somebody typed → what they ask for), `answering` (all of that → the desk). All but `notifier`,
`answering` and the class in `home` are pure.
"""
