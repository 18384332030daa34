"""Lets the emulator judge calls under the functions' roles as AWS would, and keeps a list of them.

The emulator asks a role's policies with what it knows of a call. It does not know the encryption context of
KMS calls and the keys of DynamoDB items, and it takes the batches of SQS for actions of their own. So the
policies of `template.yaml` count as they are, conditions included, and nothing is adapted to the emulator.
"""

import contextvars
import json
import os
import re

# AWS has no permission of their own for batches.
SINGLE = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# The part of an encryption context that says what is sealed; the others' values name records.
FIELD = "switchboard:field"

# Of the request at hand.
body_at_hand = contextvars.ContextVar("body_at_hand", default=b"")


def install(calls_file):
    """Mends the judgement, and appends each new kind of call to the file: a JSON line each."""
    from ministack import app
    from ministack.core import iam_evaluator

    evaluate = iam_evaluator.evaluate
    calls = Calls(calls_file)

    def judge(context, *policies):
        context.action = SINGLE.get(context.action, context.action)
        sealed = add_conditions(context)
        calls.add(context, sealed)
        return evaluate(context, *policies)

    iam_evaluator.evaluate = judge
    pin_body = app.pin_signed_body

    def keep_body(body):
        body_at_hand.set(body)
        pin_body(body)

    app.pin_signed_body = keep_body
    # Spoken to without TLS, which the policies of buckets refuse.
    pin_origin = app.pin_request_origin
    app.pin_request_origin = lambda address, _tls: pin_origin(address, True)


def add_conditions(context):
    """The keys of conditions that the emulator leaves out. Returns the encryption context, of KMS calls."""
    service = context.action.split(":")[0]
    if service not in ("kms", "dynamodb"):
        return {}
    body = json.loads(body_at_hand.get())
    if service == "dynamodb":
        context.service_context["dynamodb:leadingkeys"] = leading_keys(context.resource_arn, body)
        return {}
    sealed = body.get("EncryptionContext", {})
    context.service_context["kms:encryptioncontextkeys"] = list(sealed)
    for key, value in sealed.items():
        context.service_context[f"kms:encryptioncontext:{key}".lower()] = value
    return sealed


def leading_keys(arn, body):
    """The partition keys that a call names; none for queries, whose condition AWS reads from expressions."""
    from ministack.services import dynamodb

    name = arn.split("/")[1]
    table = dynamodb._tables.get(name)
    if table is None:
        return []
    parts = [body, *(part for item in body.get("TransactItems", []) for part in item.values())]
    keys = [part.get("Key") or part.get("Item") or {} for part in parts if part.get("TableName") == name]
    keys += body.get("RequestItems", {}).get(name, {}).get("Keys", [])
    partition = table["pk_name"]
    return [value for key in keys for value in key.get(partition, {}).values()]


class Calls:
    """What the roles were used for, in the template's names; each kind of call once."""

    def __init__(self, path):
        self.path = path
        self.seen = set()

    def add(self, context, sealed):
        if ":assumed-role/" not in context.principal_arn:
            return  # Nobody's call, which the policy of a bucket judges.
        fields = sorted(f"{key}={value}" if key == FIELD else key for key, value in sealed.items())
        call = (context.principal_arn, context.action, context.resource_arn, *fields)
        if call in self.seen:
            return
        self.seen.add(call)
        line = {
            # arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
            "role": in_template(context.principal_arn.split("/")[1]),
            "action": context.action,
            "resource": in_template(context.resource_arn),
            "sealed": fields,
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + os.linesep)


def in_template(name):
    """An ARN or a name with the template's name for the resource, and what follows it: `Table/index/due`."""
    from ministack.services import cloudformation

    for stack in cloudformation._stacks.values():
        for logical, resource in stack.get("_resources", {}).items():
            physical = re.split("[:/]", resource.get("PhysicalResourceId") or "")[-1]
            # Six random characters follow in the ARN of a secret.
            pattern = f"(^|[:/]){re.escape(physical)}(-[0-9a-zA-Z]{{6}}$|(?=$|/))"
            found = re.search(pattern, name) if physical else None
            if found:
                return logical + name[found.end() :]
    return name
