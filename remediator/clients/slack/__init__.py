"""The Slack app: `client` (the Web API), `socket` (Socket Mode), `pace` (how much Slack takes),
`faults` (what its refusals mean), `signing` (is a request Slack's?), `routing` (channels)."""
