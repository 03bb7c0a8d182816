"""Jobs of AWS Batch: the input of SubmitJob and its rules. `kind` describes the service to the rest of the program.

Allowed here: the models, rules and forms of this one request, and what its runs cost.
Not allowed: clients, or anything about another service.
"""
