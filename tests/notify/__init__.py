"""A loopback PagerDuty, the tests of the pager, and what all notifiers' tests need."""
