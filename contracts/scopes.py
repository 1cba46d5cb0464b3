"""What a token may be good for. A route names one scope; the issuer of tokens grants them."""

SCOPES: dict[str, str] = {
    "assessments.read": "Read assessments, which name people, and their roll-calls",
    "assessments.write": "Create, edit and finalise assessments, and record consent",
    "notices.write": "Say what another body has decided",
    "decisions.read": "Read a stream's decision with its reasons",
    "budgets.read": "Read budgets, proposed and accepted",
    "budgets.accept": "Accept a proposed budget",
    "operations.read": "See how the deployment is: what is parked, and why",
    "operations.write": "Release, discard and replay",
    "operations.reveal": "See the body of a parked message; each time is logged",
}
"""Scope -> what it allows."""

OPERATIONS = "operations."
"""A token with a scope of this kind and no `councils` is an operator's: it sees every council."""
