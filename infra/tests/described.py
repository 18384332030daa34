"""Holds answers to the API description: described.py <openapi.json> <answers, one JSON object a line>."""

import json
import sys

from jsonschema import Draft202012Validator

MOST_SHOWN = 20

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
validators = {}
count = 0
wrong = []
with open(sys.argv[2], encoding="utf-8") as file:
    for line in file:
        answer = json.loads(line)
        schema = answer["schema"]
        if schema not in validators:
            validators[schema] = Draft202012Validator({**document, "$ref": schema})
        count += 1
        for error in validators[schema].iter_errors(answer["body"]):
            wrong.append(f"{schema}: {error.json_path}: {error.message[:300]}")
for line in wrong[:MOST_SHOWN]:
    print(line)
if wrong or not count:
    sys.exit(f"{len(wrong)} faults in {count} answers")
