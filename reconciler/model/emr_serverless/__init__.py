"""Job runs of EMR Serverless: the input of StartJobRun, its rules, and Spark's options in it. `kind` describes the
service to the rest of the program.

Allowed here: the models, rules and forms of this one request, and what its runs cost.
Not allowed: clients, or anything about another service.
"""
