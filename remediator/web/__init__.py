"""The HTTP edge: webhooks, notifiers' callbacks, the API, health; decides nothing.

`routes` holds the one table of what is served and who may ask; `services` what the edge needs from
the engine. `auth` says who asks, `problems` how errors look, `bodies` how much is read, `render`
how the model looks as JSON. `server` listens. One module for each noun of the API.
"""
