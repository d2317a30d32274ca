# SPDX-License-Identifier: Apache-2.0
"""What an API server does with a custom resource, as far as its schema goes: a CRD must be structural; an object is
pruned, loses its nulls, gets its defaults and is validated, in this order (apiextensions-apiserver, pkg/apiserver).
And what it refuses to a user with a role."""

import copy
import ipaddress
import re
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}: run scripts/deps.sh", file=sys.stderr)
    sys.exit(77)


class Loader(yaml.SafeLoader):
    """As kubectl reads YAML: a time is a text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text):
    """All documents of a text that are not empty."""
    return [document for document in yaml.load_all(text, Loader) if document is not None]


# ---- is a schema structural? ------------------------------------------------------------------------------------

KEEP = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
JUNCTORS = ("allOf", "anyOf", "oneOf")
VALUES = {"enum", "format", "maximum", "minimum", "maxItems", "minItems", "maxLength", "minLength", "maxProperties",
          "minProperties", "pattern", "required"}
STRUCTURE = {"type", "description", "default", "properties", "items", "additionalProperties", KEEP, INT_OR_STRING,
             "x-kubernetes-list-type", "x-kubernetes-list-map-keys"}
FORMATS = {"cidr", "date-time", "int32", "int64"}


def structural(schema, path="schema"):
    """What the API server, or we, would not have in a CRD: a list of texts."""
    errors = [f"{path}: unknown keyword {key}" for key in schema if key not in STRUCTURE | VALUES | set(JUNCTORS) | {"not"}]
    errors += values(schema, path)
    if bool(schema.get(INT_OR_STRING)) == ("type" in schema):
        errors.append(f"{path}: needs a type")
    if "properties" in schema and "additionalProperties" in schema:
        errors.append(f"{path}: properties beside additionalProperties")
    if schema.get("type") == "array" and not ("items" in schema and "maxItems" in schema):
        errors.append(f"{path}: a list without items or maxItems")
    if "default" in schema and list(validator(schema).iter_errors(schema["default"])):
        errors.append(f"{path}: its default is not valid")
    errors += [f"{path}: {name} is required and not described"
               for name in schema.get("required", []) if name not in schema.get("properties", {})]
    for name, child in schema.get("properties", {}).items():
        errors += structural(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            errors += structural(schema[key], f"{path}.{key}")
    for key in JUNCTORS:
        for branch in schema.get(key, []):
            errors += validation(branch, schema, f"{path}.{key}")
    return errors + (validation(schema["not"], schema, f"{path}.not") if "not" in schema else [])


def values(schema, path):
    errors = []
    if schema.get("format", "cidr") not in FORMATS:
        errors.append(f"{path}: the API server ignores the format {schema['format']}")
    try:
        re.compile(schema.get("pattern", ""))
    except re.error as error:
        errors.append(f"{path}: {error}")
    return errors


def validation(branch, around, path):
    """Inside a junctor there are values only, of what is described outside it."""
    errors = [f"{path}: {key} does not belong here" for key in branch if key not in VALUES | {"properties", "items", "not"}]
    errors += values(branch, path)
    for name, child in branch.get("properties", {}).items():
        if name not in around.get("properties", {}):
            errors.append(f"{path}: {name} is not described outside")
        else:
            errors += validation(child, around["properties"][name], f"{path}.{name}")
    errors += [f"{path}: {name} is required and not described outside"
               for name in branch.get("required", []) if name not in around.get("properties", {})]
    return errors


# ---- what becomes of an object ----------------------------------------------------------------------------------

formats = jsonschema.FormatChecker(formats=())


@formats.checks("cidr")
def is_cidr(text):
    """Go's net.ParseCIDR."""
    if not isinstance(text, str):
        return True
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return re.search(r"/\d+$", text) is not None


@formats.checks("date-time")
def is_time(text):
    """strfmt.IsDateTime: the day exists, the hour is a word of two digits up to 23."""
    if not isinstance(text, str):
        return True
    parts = re.match(r"(\d{4})-(\d\d)-(\d\d)t(\d\d):(\d\d):(\d\d)(.\d+)?(z|[+-]\d\d:\d\d)$", text.lower())
    if not parts:
        return False
    year, month, day, hour, minute, second = (int(part) for part in parts.groups()[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return 1 <= month <= 12 and 1 <= day <= days[month - 1] and hour <= 23 and minute <= 59 and second <= 59


def draft4(schema):
    """The same as plain JSON schema."""
    if isinstance(schema, list):
        return [draft4(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: value if key in ("enum", "default") else draft4(value) for key, value in schema.items()}
    if plain.get(INT_OR_STRING):
        plain["type"] = ["integer", "string"]
    return plain


def validator(schema):
    return jsonschema.Draft4Validator(draft4(schema), format_checker=formats)


def prepare(value, schema):
    """Prune, drop nulls, set defaults; in place."""
    if isinstance(value, list):
        for item in value:
            prepare(item, schema.get("items", {}))
    if not isinstance(value, dict):
        return
    known = schema.get("properties", {})
    for name in list(value):
        inner = known.get(name, schema.get("additionalProperties"))
        if inner is None and not schema.get(KEEP):
            del value[name]
        elif inner is not None and value[name] is None:
            del value[name]
        elif inner is not None:
            prepare(value[name], inner)
    for name, inner in known.items():
        if "default" in inner:
            value.setdefault(name, copy.deepcopy(inner["default"]))


class Crd:
    def __init__(self, document):
        self.document = document
        self.kind = document["spec"]["names"]["kind"]
        self.namespaced = document["spec"]["scope"] == "Namespaced"
        (version,) = document["spec"]["versions"]
        self.api_version = document["spec"]["group"] + "/" + version["name"]
        self.schema = version["schema"]["openAPIV3Schema"]
        self.validator = validator(self.schema)

    def refuses(self, given):
        """Why the API server would refuse the object: a list of texts."""
        value = copy.deepcopy(given)
        metadata = value.pop("metadata", None) or {}
        if not self.namespaced and metadata.get("namespace"):
            return ["metadata.namespace: a cluster-wide object belongs to none"]
        prepare(value, self.schema)
        return [".".join(str(step) for step in error.absolute_path) + ": " + error.message
                for error in self.validator.iter_errors(value)]


# ---- rights -----------------------------------------------------------------------------------------------------

def allowed(role):
    """What a ClusterRole allows: a set of (verb, group, resource)."""
    return {(verb, group, resource) for rule in role["rules"] for verb in rule["verbs"]
            for group in rule["apiGroups"] for resource in rule["resources"] if not rule.get("resourceNames")}


def refusals(role, ask):
    """What is refused to a user with this ClusterRole alone, as test-apiserver wants it at /rights: of every verb of
    every resource that the server has. `ask`: a path to its JSON."""
    paths = [("", "/api/v1")] + [(group["name"], "/apis/" + version["groupVersion"])
                                 for group in ask("/apis")["groups"] for version in group["versions"]]
    known = {(verb, group, resource["name"]) for group, path in paths for resource in ask(path)["resources"]
             for verb in resource["verbs"]}
    return {"refuse": [{"verb": verb, "group": group, "resource": resource}
                       for verb, group, resource in sorted(known - allowed(role))]}
