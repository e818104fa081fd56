"""The Slack app: `client` (the Web API, and whether a request is Slack's), `socket` (Socket Mode),
`pace` (how much Slack takes)."""
