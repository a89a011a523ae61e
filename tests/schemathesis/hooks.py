"""Gives Schemathesis keys and ids that exist, and counts what was answered."""

import atexit
import json
import os
import sys
import threading
from collections import Counter, defaultdict

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

from recipes import PERSONAL, RECIPES
from world import World

WORLD = World()
TENANT = "Postrider-Tenant"
KEY = "Idempotency-Key"
LOCK = threading.RLock()
COUNTED = defaultdict(Counter)
CALLS = Counter()
# Operations of the platform's operators, which a tenant's key may not call: found out by asking.
PLATFORM = set()
# Whether some operations were left out, so that one without calls is no fault.
FILTERED = "--include-operation-id-regex" in sys.argv


def name(operation):
    return operation.definition.raw.get("operationId", operation.label)


def successes(statuses):
    return sum(count for status, count in statuses.items() if status // 100 == 2)


def is_private(operation):
    return operation.path.startswith("/v1/") and any(operation.definition.raw.get("security", []))


def keys(operation):
    """The headers by which an operation knows its caller."""
    if not is_private(operation):
        return {}
    if name(operation) in PERSONAL:
        return {"Authorization": f"Bearer {WORLD.person(name(operation))['access_token']}"}
    if name(operation) in PLATFORM:
        return {"Authorization": f"Bearer {WORLD.platform_key}", TENANT: WORLD.tenant_id}
    return {"Authorization": f"Bearer {WORLD.admin_key}"}


def is_well_formed(case, location):
    """Whether this part of a made-up call is as the document wants it."""
    part = case.meta.components.get(location) if case.meta else None
    return part is not None and part.mode == GenerationMode.POSITIVE


@schemathesis.auth(refresh_interval=None)
class Keys:
    """The key of a tenant's administrator; for operations that need it, the platform's."""

    def get(self, case, context):
        return "a key"

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), **keys(context.operation)}


@schemathesis.hook
def after_load_schema(context, schema):
    for result in schema.get_all_operations():
        operation = result.ok()
        COUNTED[name(operation)]


@schemathesis.hook
def before_add_examples(context, examples):
    """One call of each operation that has to succeed."""
    operation = context.operation
    recipe = RECIPES.get(name(operation), lambda world: {"path_parameters": {}, "body": None, "query": None})
    with LOCK:
        if is_private(operation) and name(operation) not in PLATFORM | PERSONAL and WORLD.refused(operation):
            PLATFORM.add(name(operation))
        made = recipe(WORLD)
    more = {"path_parameters": made["path_parameters"], "query": made["query"] or {}, "headers": keys(operation)}
    if made["body"] is not None:
        more.update(body=made["body"], media_type="application/json")
    examples.insert(0, operation.Case(**more))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Made-up ids and tenants lead nowhere, so most of them become some that exist. What was malformed on purpose stays."""
    if name(case.operation) in PERSONAL:
        (case.headers or {}).pop(TENANT, None)
    if TENANT in (case.headers or {}) and is_well_formed(case, ParameterLocation.HEADER):
        case.headers[TENANT] = WORLD.tenant_id
    if KEY in (case.headers or {}) and is_well_formed(case, ParameterLocation.HEADER) and WORLD.next() % 8:
        # Else nearly all bodies would come under one made-up key, and be refused for that.
        case.headers[KEY] = f"key {WORLD.next()}"
    if "wait" in (case.query or {}) and is_well_formed(case, ParameterLocation.QUERY):
        case.query["wait"] = "50ms"
    recipe = RECIPES.get(name(case.operation))
    if recipe and case.path_parameters and is_well_formed(case, ParameterLocation.PATH):
        with LOCK:
            CALLS[name(case.operation)] += 1
            # Schemathesis sends ids that it saw in answers, too: not those of the keys with which it is let in.
            if CALLS[name(case.operation)] % 4 or case.path_parameters.get("id") in WORLD.own_keys:
                case.path_parameters.update(recipe(WORLD)["path_parameters"])


@schemathesis.hook
def after_call(context, case, response):
    # Schemathesis tries methods that there are not, too, and OPTIONS succeeds everywhere.
    if response.request.method == case.operation.method.upper():
        with LOCK:
            COUNTED[name(case.operation)][response.status_code] += 1


@atexit.register
def tell():
    """What each operation answered, most successes first, and the same for the program that started us."""
    called = {operation: statuses for operation, statuses in COUNTED.items() if statuses or not FILTERED}
    for operation in sorted(called, key=lambda operation: -successes(called[operation])):
        statuses = "  ".join(f"{status}: {count}" for status, count in sorted(called[operation].items()))
        print(f"  {operation:28} {statuses}")
    with open(os.environ["POSTRIDER_COUNTED"], "w", encoding="utf-8") as counted:
        json.dump({"operations": called}, counted)
