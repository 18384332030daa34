"""Deploys the SAM template to the local cloud and prints what came out, as JSON.

usage: deploy.py ENDPOINT TEMPLATE PARAMETERS.json BINARIES LOGS TRANSLATED.json

The last is written: the template after SAM's translation, as it is deployed.

AWS itself translates SAM templates and reads routes from an OpenAPI body; the emulator (ministack) is
given the translated template with each route written out. Nothing here is used for AWS.
"""

import hashlib
import io
import json
import os
import re
import shlex
import sys
import time
import urllib.request
import zipfile

import boto3
import yaml
from botocore.exceptions import ClientError

STACK = "switchboard"
BUCKET = "switchboard-functions"
# The stack carries the hash of what made it, so that an unchanged one is left alone.
HASH_TAG = "switchboard:hash"


def main(endpoint, template_file, parameters_file, binaries, logs, translated_file):
    template_text = read(template_file)
    parameters = json.loads(read(parameters_file))
    wanted = digest(template_text, parameters, binaries, logs, read(__file__))
    wait_until_healthy(endpoint)
    cloudformation = boto3.client("cloudformation", endpoint_url=endpoint)
    stack = find_stack(cloudformation)
    if stack is None or tags(stack).get(HASH_TAG) != wanted:
        s3 = boto3.client("s3", endpoint_url=endpoint)
        s3.create_bucket(Bucket=BUCKET)
        template = yaml.load(template_text, CloudFormationLoader)
        package(template, s3, binaries, logs)
        template = without_aliases(template)
        drop_computed_alarms(template)
        translated = write_out_routes(translate(template))
        resolve_concurrency(translated, parameters)
        with open(translated_file, "w", encoding="utf-8") as file:
            json.dump(translated, file)
        template_url = upload(s3, endpoint, translated)
        stack = create_or_update(cloudformation, stack, template_url, parameters, wanted)
    print(json.dumps(summary(endpoint, cloudformation, stack)))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def digest(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def wait_until_healthy(endpoint):
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=1)
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the local cloud does not answer at {endpoint}; its log is ministack.log in the logs folder")


# ------------------------------------------------------------------ template


class CloudFormationLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x`, `!GetAtt a.b`, `!Sub …`."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


CloudFormationLoader.add_multi_constructor("!", short_form)


def package(template, s3, binaries, logs):
    """Gives each function a package that runs the binary where cargo built it.

    A debug binary has tens of megabytes: a script of two lines deploys at once, and a rebuilt binary
    needs no deployment. The function's output goes to a file of its own.
    """
    for resource in functions(template):
        name = binary(resource)
        log = shlex.quote(os.path.join(logs, f"{name}.log"))
        script = f"#!/bin/sh\nexec {shlex.quote(os.path.join(binaries, name))} >>{log} 2>&1\n"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, script)
        key = f"{name}-{digest(script)}.zip"
        s3.put_object(Bucket=BUCKET, Key=key, Body=content.getvalue())
        resource["Properties"]["CodeUri"] = f"s3://{BUCKET}/{key}"


def functions(template):
    return [r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]


def binary(resource):
    return resource["Metadata"]["BuildProperties"]["Binary"]


def without_aliases(value):
    """AWS shifts traffic between versions behind an alias. Here a function is what cargo built last: calls go
    to the function itself."""
    if isinstance(value, list):
        return [without_aliases(item) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["Ref"] and value["Ref"].endswith(".Alias"):
        return {"Ref": value["Ref"].removesuffix(".Alias")}
    versions = ("AutoPublishAlias", "DeploymentPreference", "VersionDescription")
    return {name: without_aliases(item) for name, item in value.items() if name not in versions}


def drop_computed_alarms(template):
    """The emulator has no alarms on sums of metrics (nor AWS's own metrics to sum up)."""
    resources = template["Resources"]
    for name in [name for name, it in resources.items() if "Metrics" in it.get("Properties", {})]:
        del resources[name]


def translate(template):
    # Imported late: it takes a second, and most starts find the stack unchanged.
    from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
    from samtranslator.translator.transform import transform

    class NoManagedPolicies:
        """The template names no managed policy, so there is nothing to look up."""

        def get_paginator(self, _operation):
            return self

        def paginate(self, **_arguments):
            return []

    return transform(template, {}, ManagedPolicyLoader(NoManagedPolicies()))


def write_out_routes(template):
    """The emulator ignores the Body of an HTTP API: writes it out as authorizer, integrations and routes."""
    for api, resource in list(template["Resources"].items()):
        if resource["Type"] != "AWS::ApiGatewayV2::Api" or "Body" not in resource["Properties"]:
            continue
        properties = resource["Properties"]
        body = properties.pop("Body")
        properties.pop("FailOnWarnings", None)
        properties.update(ProtocolType="HTTP", Name="switchboard")
        if cors := body.get("x-amazon-apigateway-cors"):
            properties["CorsConfiguration"] = cors
        schemes = body.get("components", {}).get("securitySchemes", {})
        for scheme, definition in schemes.items():
            template["Resources"][f"{api}{scheme}"] = authorizer(api, scheme, definition)
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                template["Resources"].update(route(api, method, path, operation))
    return template


def authorizer(api, name, definition):
    settings = definition["x-amazon-apigateway-authorizer"]
    jwt = settings["jwtConfiguration"]
    return {
        "Type": "AWS::ApiGatewayV2::Authorizer",
        "Properties": {
            "ApiId": {"Ref": api},
            "Name": name,
            "AuthorizerType": "JWT",
            "IdentitySource": [settings["identitySource"]],
            "JwtConfiguration": {"Issuer": jwt["issuer"], "Audience": jwt["audience"]},
        },
    }


def route(api, method, path, operation):
    integration = operation["x-amazon-apigateway-integration"]
    uri = integration["uri"]
    uri = uri.get("Fn::If", [None, uri])[1]["Fn::Sub"]
    function = re.search(r"functions/\$\{([^}.]+)", uri if isinstance(uri, str) else uri[0]).group(1)
    name = re.sub(r"\W", "", f"{api}{method}{path.replace('/', 'S')}")
    properties = {
        "ApiId": {"Ref": api},
        "RouteKey": f"{method.upper()} {path}",
        "Target": {"Fn::Join": ["/", ["integrations", {"Ref": f"{name}Integration"}]]},
    }
    scheme = next((key for entry in operation.get("security", []) for key in entry if key != "NONE"), None)
    if scheme:
        properties.update(AuthorizationType="JWT", AuthorizerId={"Ref": f"{api}{scheme}"})
    return {
        f"{name}Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": {"Ref": api},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": {"Fn::GetAtt": [function, "Arn"]},
                "PayloadFormatVersion": integration["payloadFormatVersion"],
            },
        },
        f"{name}Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties},
    }


def resolve_concurrency(template, parameters):
    """The emulator leaves a Number parameter a string, and its queue poller compares it as a number."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            scaling = resource["Properties"].get("ScalingConfig")
            if scaling is None:
                continue  # A stream has none.
            name = scaling["MaximumConcurrency"]["Ref"]
            scaling["MaximumConcurrency"] = int(parameters.get(name, template["Parameters"][name]["Default"]))


def upload(s3, endpoint, template):
    """CloudFormation takes 51,200 bytes in a call, and up to 1 MB from a bucket."""
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(template).encode())
    return f"{endpoint}/{BUCKET}/template.json"


# --------------------------------------------------------------------- stack


def find_stack(cloudformation):
    try:
        return cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    except ClientError:
        return None


def tags(stack):
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}


def create_or_update(cloudformation, stack, template_url, parameters, wanted):
    arguments = {
        "StackName": STACK,
        "TemplateURL": template_url,
        "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in sorted(parameters.items())],
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": [{"Key": HASH_TAG, "Value": wanted}],
    }
    if stack is None:
        cloudformation.create_stack(**arguments)
    else:
        try:
            cloudformation.update_stack(**arguments)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
    stack = find_stack(cloudformation)
    while stack["StackStatus"].endswith("IN_PROGRESS"):
        time.sleep(0.1)
        stack = find_stack(cloudformation)
    if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        sys.exit(failures(cloudformation, stack))
    return stack


def failures(cloudformation, stack):
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    lines = [
        f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events
        if "FAILED" in event["ResourceStatus"]
    ]
    return "\n".join([f"the stack ended as {stack['StackStatus']}:", *lines])


def summary(endpoint, cloudformation, stack):
    """Outputs, and each function's environment by its name in the template."""
    functions = boto3.client("lambda", endpoint_url=endpoint)
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    environments = {}
    for resource in (resource for page in pages for resource in page["StackResourceSummaries"]):
        if resource["ResourceType"] == "AWS::Lambda::Function":
            found = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
            environments[resource["LogicalResourceId"]] = found["Environment"]["Variables"]
    return {
        "outputs": {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        "environments": environments,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
