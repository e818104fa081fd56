"""remediator: alerts in, safe and recorded repairs out.

Reading order, from the first byte to the last record:

1. `web` takes a notification over HTTP and decides nothing.
2. `sources` turn a sender's dialect into alerts.
3. `engine.intake` opens or closes incidents and starts runs, in one journal transaction.
4. `engine.worker` claims a run; `engine.run` carries it from state to state.
5. `engine.planning` asks an action for its exact plan; `engine.guardrails` judge it;
   `engine.approvals` ask people; `engine.step` applies it and watches it settle;
   `engine.undo` takes it back; `engine.announce` tells people.
6. `actions` know how to plan, apply, settle and undo; `clients` speak to the servers.
7. `journal` keeps all state and the audit chain.
8. `model` holds the words that all of these share; `plugin` the contracts a stranger implements.

`app` is the only wiring. Imports point down; import-linter holds it.
"""
