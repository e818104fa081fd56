"""Slack: one message for each run, edited in place; its thread; Approve and Deny.

`notifier` (what is sent when), `blocks` (a run as Block Kit; pure), `text` (escaping and cutting;
pure), `interactions` (a signed click → who answers what; pure).
"""
