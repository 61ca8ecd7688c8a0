"""From requests and events to attributes: the rows A1 to A7 of the semantics, and the corpus.

tests/oracle/test_request_attributes.py puts every claim of this file to upstream too.
"""

from __future__ import annotations

import gzip
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.events.attributes import CACHED_URI_LENGTH, attributes_for_verb, request_attributes
from kaudit_core.events.uri import MAX_PARAMETERS, UnparsableURI
from kaudit_core.policy.types import Attributes

REPOSITORY = Path(__file__).resolve().parents[2]
REDUCED_VECTORS = REPOSITORY / "tests" / "corpus" / "requestinfo.jsonl.gz"
ALL_VECTORS = REPOSITORY.parent / "shared" / "corpus" / "vectors" / "requestinfo.jsonl.gz"

STRAY_BYTE = re.compile("[\udc80-\udcff]")
UPSTREAM_NAMES = {
    "verb": "verb",
    "namespace": "namespace",
    "apiGroup": "api_group",
    "apiVersion": "api_version",
    "resource": "resource",
    "subresource": "subresource",
    "name": "name",
    "path": "path",
    "resourceRequest": "resource_request",
}


def as_upstream(attributes: Attributes) -> dict[str, Any]:
    """Attributes as the oracle writes them: bytes that are not UTF-8 are U+FFFD in its JSON."""
    fields = {theirs: getattr(attributes, ours) for theirs, ours in UPSTREAM_NAMES.items()}
    return {key: STRAY_BYTE.sub("\ufffd", value) if isinstance(value, str) else value for key, value in fields.items()}


def claim(claim_id: str, method: str, uri: str, path: str = "", **fields: Any) -> Any:
    """One row: a request and its attributes. The path is the URI's unless given; with a version it is a resource."""
    expected = Attributes(path=path or uri.partition("?")[0], resource_request="api_version" in fields, **fields)
    return pytest.param(method, uri, expected, id=claim_id)


def core(claim_id: str, method: str, uri: str, verb: str, resource: str, **fields: Any) -> Any:
    """A row about a resource of the core group."""
    return claim(claim_id, method, uri, api_version="v1", verb=verb, resource=resource, **fields)


def names(claim_id: str, query: str, name: str = "", verb: str = "list") -> Any:
    """A row about GET /api/v1/pods with a query."""
    return core(claim_id, "GET", f"/api/v1/pods?{query}", verb, "pods", name=name)


APPS = {"api_group": "apps", "api_version": "v1"}
NAMED = "fieldSelector=metadata.name%3Dx"

CLAIMS = [
    # A2: what is a resource request, and the verbs of the methods
    core("A2-post-is-create", "POST", "/api/v1/pods", "create", "pods"),
    core("A2-get-is-get", "GET", "/api/v1/pods/a", "get", "pods", name="a"),
    core("A2-head-is-get", "HEAD", "/api/v1/pods/a", "get", "pods", name="a"),
    core("A2-put-is-update", "PUT", "/api/v1/pods/a", "update", "pods", name="a"),
    core("A2-patch-is-patch", "PATCH", "/api/v1/pods/a", "patch", "pods", name="a"),
    core("A2-delete-is-delete", "DELETE", "/api/v1/pods/a", "delete", "pods", name="a"),
    core("A2-options-has-no-verb", "OPTIONS", "/api/v1/pods/a", "", "pods", name="a"),
    core("A2-lower-case-method-has-no-verb", "get", "/api/v1/pods", "", "pods"),
    core("A2-unknown-method-has-no-verb", "PROPFIND", "/api/v1/pods", "", "pods"),
    core("A2-create-may-have-a-name", "POST", "/api/v1/pods/a", "create", "pods", name="a"),
    claim("A2-core-needs-three-parts", "GET", "/api/v1", verb="get"),
    claim("A2-trailing-slash-is-no-part", "GET", "/api/v1/", verb="get"),
    claim("A2-group-needs-four-parts", "GET", "/apis/apps/v1", verb="get"),
    claim("A2-group-resource", "GET", "/apis/apps/v1/deployments", **APPS, verb="list", resource="deployments"),
    claim("A2-other-prefix-is-non-resource", "GET", "/apix/v1/pods/a", verb="get"),
    claim("A2-prefix-case-counts", "GET", "/API/v1/pods", verb="get"),
    claim("A2-non-resource-verb-is-lower-case-method", "PROPFIND", "/healthz", verb="propfind"),
    claim("A2-head-of-non-resource-is-head", "HEAD", "/healthz", verb="head"),
    claim("A2-non-resource-ignores-watch", "GET", "/version?watch=1", verb="get"),
    claim("A2-asterisk", "OPTIONS", "*", verb="options"),
    core("A2-namespaced", "GET", "/api/v1/namespaces/n/pods/a/log", "get", "pods", namespace="n", name="a",
         subresource="log"),
    core("A2-parts-beyond-the-subresource-are-ignored", "GET", "/api/v1/nodes/a/proxy/b/c", "get", "nodes", name="a",
         subresource="proxy"),
    core("A2-namespace-is-in-itself", "GET", "/api/v1/namespaces/n", "get", "namespaces", namespace="n", name="n"),
    core("A2-namespaces-collection", "GET", "/api/v1/namespaces", "list", "namespaces"),
    core("A2-namespaced-collection-of-namespaces", "GET", "/api/v1/namespaces/n/namespaces", "list", "namespaces",
         namespace="n"),
    # A3: get, list, watch, deletecollection
    names("A3-no-watch-is-list", "", verb="list"),
    names("A3-watch-true-is-watch", "watch=true", verb="watch"),
    names("A3-bare-watch-is-watch", "watch", verb="watch"),
    names("A3-empty-watch-is-watch", "watch=", verb="watch"),
    names("A3-bogus-watch-is-watch", "watch=bogus", verb="watch"),
    names("A3-watch-false-is-list", "watch=false"),
    names("A3-watch-false-in-any-case-is-list", "watch=FaLsE"),
    names("A3-watch-false-with-long-s-is-list", "watch=fal%C5%BFe"),
    names("A3-watch-zero-is-list", "watch=0"),
    names("A3-watch-double-zero-is-watch", "watch=00", verb="watch"),
    names("A3-watch-no-is-watch", "watch=no", verb="watch"),
    names("A3-first-watch-counts", "watch=0&watch=1"),
    names("A3-broken-watch-is-none", "watch=%zz&watch=0"),
    names("A3-watch-beside-semicolon-is-none", "watch=1;x"),
    names("A3-watch-name-may-be-escaped", "%77atch=1", verb="watch"),
    names("A3-watch-case-counts", "Watch=1"),
    core("A3-named-get-ignores-watch", "GET", "/api/v1/pods/a?watch=true", "get", "pods", name="a"),
    core("A3-head-collection-is-list", "HEAD", "/api/v1/pods", "list", "pods"),
    core("A3-head-collection-may-watch", "HEAD", "/api/v1/pods?watch=1", "watch", "pods"),
    core("A3-nameless-delete-is-deletecollection", "DELETE", "/api/v1/pods", "deletecollection", "pods"),
    core("A3-deletecollection-takes-no-name", "DELETE", f"/api/v1/pods?{NAMED}", "deletecollection", "pods"),
    core("A3-options-ignores-watch", "OPTIONS", f"/api/v1/pods?watch=1&{NAMED}", "", "pods"),
    names("A3-too-many-parameters-are-none", "watch=1" + "&" * MAX_PARAMETERS),
    # A4: the name that a field selector requires
    names("A4-field-selector-names", NAMED, "x"),
    names("A4-field-selector-names-a-watch", f"watch=1&{NAMED}", "x", "watch"),
    names("A4-field-selector-needs-no-escape", "fieldSelector=metadata.name=x", "x"),
    names("A4-field-selector-among-others", "fieldSelector=a%3D1,metadata.name%3Dx", "x"),
    names("A4-first-field-selector-counts", f"fieldSelector=a%3D1&{NAMED}"),
    names("A4-negated-field-selector-names-nothing", "fieldSelector=metadata.name!%3Dx"),
    names("A4-slash-is-no-path-segment", "fieldSelector=metadata.name%3Da%2Fb"),
    names("A4-percent-is-no-path-segment", "fieldSelector=metadata.name%3Da%2525"),
    names("A4-dot-is-no-path-segment", "fieldSelector=metadata.name%3D."),
    names("A4-dots-are-no-path-segment", "fieldSelector=metadata.name%3D.."),
    names("A4-three-dots-are-a-path-segment", "fieldSelector=metadata.name%3D...", "..."),
    names("A4-comma-may-be-escaped", "fieldSelector=metadata.name%3Da%5C,b", "a,b"),
    names("A4-name-need-not-be-utf-8", "fieldSelector=metadata.name%3D%ff", "\udcff"),
    names("A4-bad-limit-loses-the-name", f"{NAMED}&limit=abc"),
    names("A4-empty-limit-loses-the-name", f"{NAMED}&limit="),
    names("A4-big-limit-loses-the-name", f"{NAMED}&limit=9223372036854775808"),
    names("A4-bad-timeout-seconds-loses-the-name", f"{NAMED}&timeoutSeconds=1s"),
    names("A4-bad-label-selector-loses-the-name", f"{NAMED}&labelSelector=,"),
    names("A4-bad-field-selector-loses-the-name", f"{NAMED},b"),
    names("A4-bad-timeout-is-no-list-option", f"{NAMED}&timeout=abc", "x"),
    names("A4-bad-booleans-do-not-fail", f"{NAMED}&allowWatchBookmarks=x&sendInitialEvents=x", "x"),
    names("A4-other-options-do-not-fail", f"{NAMED}&resourceVersion=x&resourceVersionMatch=x&continue=x", "x"),
    names("A4-fallback-still-watches", f"watch=1&{NAMED}&limit=abc", verb="watch"),
    names("A4-fallback-watch-false-is-list", "watch=FALSE&limit=abc"),
    names("A4-fallback-watch-false-with-long-s-is-watch", "watch=fal%C5%BFe&limit=abc", verb="watch"),
    names("A4-fallback-bare-watch-is-watch", "watch&limit=abc", verb="watch"),
    # A5: verbs in the path, and namespaces
    core("A5-watch-in-the-path", "GET", "/api/v1/watch/pods", "watch", "pods"),
    core("A5-watch-in-the-path-with-any-method", "DELETE", "/api/v1/watch/pods", "watch", "pods"),
    core("A5-watch-in-the-path-takes-no-name", "GET", f"/api/v1/watch/pods?{NAMED}", "watch", "pods"),
    core("A5-watch-in-the-path-namespaced", "GET", "/api/v1/watch/namespaces/n/pods/a/b", "watch", "pods",
         namespace="n", name="a", subresource="b"),
    core("A5-proxy-has-no-subresource", "POST", "/api/v1/proxy/namespaces/n/pods/a/b", "proxy", "pods",
         namespace="n", name="a"),
    core("A5-only-one-verb-in-the-path", "GET", "/api/v1/watch/proxy/a", "watch", "proxy", name="a"),
    core("A5-namespace-status", "PUT", "/api/v1/namespaces/n/status", "update", "namespaces", namespace="n", name="n",
         subresource="status"),
    core("A5-namespace-finalize", "PUT", "/api/v1/namespaces/n/finalize", "update", "namespaces", namespace="n",
         name="n", subresource="finalize"),
    claim("A5-namespace-status-in-any-group", "GET", "/apis/apps/v1/namespaces/n/status", **APPS, verb="get",
          resource="namespaces", namespace="n", name="n", subresource="status"),
    core("A5-status-below-namespace-status-is-ignored", "GET", "/api/v1/namespaces/n/status/a", "get", "namespaces",
         namespace="n", name="n", subresource="status"),
    # A6: the decoded path is split
    core("A6-escaped-slash-splits", "GET", "/api/v1/pods/a%2Fb", "get", "pods", path="/api/v1/pods/a/b", name="a",
         subresource="b"),
    core("A6-empty-segment-is-a-resource", "GET", "/api/v1//pods", "get", "", name="pods"),
    core("A6-empty-name-is-a-list", "GET", "/api/v1/pods//log", "list", "pods", subresource="log"),
    core("A6-outer-slashes-do-not-count", "GET", "//api/v1/pods//", "list", "pods"),
    claim("A6-empty-group", "GET", "/apis//v1/pods", api_version="v1", verb="list", resource="pods"),
    claim("A6-empty-version", "GET", "/api//pods/a", api_version="", verb="get", resource="pods", name="a"),
    core("A6-dots-are-names", "GET", "/api/v1/namespaces/../pods", "list", "pods", namespace=".."),
    core("A6-empty-namespace", "GET", "/api/v1/namespaces//pods", "list", "pods"),
    core("A6-not-utf-8", "GET", "/api/v1/pods/%ff", "get", "pods", path="/api/v1/pods/\udcff", name="\udcff"),
    core("A6-absolute-form", "GET", "http://host/api/v1/pods", "list", "pods", path="/api/v1/pods"),
    core("A6-question-mark-in-the-path", "GET", "/api/v1/pods%3Fwatch=1", "list", "pods?watch=1",
         path="/api/v1/pods?watch=1"),
]  # fmt: skip

REFUSED = [
    pytest.param("/api/v1/watch", id="A6-watch-without-resource"),
    pytest.param("/api/v1/proxy/", id="A6-proxy-without-resource"),
    pytest.param("/apis/apps/v1/watch?watch=1", id="A6-group-watch-without-resource"),
    pytest.param("/api/v1/pods/%zz", id="A6-bad-escape"),
    pytest.param("api/v1/pods", id="A6-no-leading-slash"),
]

POSSIBLE = [
    pytest.param("get", "/api/v1/pods/a", id="get-named"),
    pytest.param("list", "/api/v1/pods", id="list-collection"),
    pytest.param("list", f"/api/v1/pods?{NAMED}", id="list-named-by-field-selector"),
    pytest.param("watch", "/api/v1/pods?watch=1", id="watch-collection"),
    pytest.param("watch", "/api/v1/watch/pods", id="watch-in-the-path"),
    pytest.param("proxy", "/api/v1/proxy/pods/a", id="proxy-in-the-path"),
    pytest.param("create", "/api/v1/pods", id="create-collection"),
    pytest.param("create", "/api/v1/pods?watch=1", id="create-ignores-watch"),
    pytest.param("delete", "/api/v1/pods/a", id="delete-named"),
    pytest.param("deletecollection", "/api/v1/pods", id="deletecollection-nameless"),
    pytest.param("update", "/api/v1/pods", id="update-collection"),
    pytest.param("", "/api/v1/pods", id="no-verb-on-resource"),
    pytest.param("get", "/healthz", id="get-non-resource"),
    pytest.param("propfind", "/healthz", id="any-method-on-non-resource"),
    pytest.param("list", "/healthz", id="list-is-a-method-too-on-non-resource"),
    pytest.param("m-search!", "/healthz", id="odd-token-on-non-resource"),
    pytest.param("get", "mailto:x", id="opaque-has-an-empty-path"),
]

IMPOSSIBLE = [
    pytest.param("create", "/api/v1/watch/pods", id="create-on-watch-path"),
    pytest.param("list", "/api/v1/watch/pods", id="list-on-watch-path"),
    pytest.param("get", "/api/v1/proxy/pods/a", id="get-on-proxy-path"),
    pytest.param("watch", "/api/v1/proxy/pods/a", id="watch-on-proxy-path"),
    pytest.param("proxy", "/api/v1/watch/pods", id="proxy-on-watch-path"),
    pytest.param("proxy", "/api/v1/pods/a", id="proxy-on-ordinary-path"),
    pytest.param("", "/api/v1/watch/pods", id="no-verb-on-watch-path"),
    pytest.param("", "/healthz", id="no-verb-on-non-resource"),
    pytest.param("GET", "/api/v1/pods/a", id="upper-case-on-resource"),
    pytest.param("GET", "/healthz", id="upper-case-on-non-resource"),
    pytest.param("Get", "/healthz", id="mixed-case-on-non-resource"),
    pytest.param("g t", "/healthz", id="space-is-in-no-method"),
    pytest.param("g\u00e9t", "/healthz", id="non-ascii-is-in-no-method"),
    pytest.param("get\n", "/healthz", id="newline-is-in-no-method"),
    pytest.param("list", "/api/v1/pods/a", id="list-named"),
    pytest.param("list", "/api/v1/pods?watch=1", id="list-with-watch"),
    pytest.param("watch", "/api/v1/pods", id="watch-without-watch"),
    pytest.param("watch", "/api/v1/pods/a?watch=1", id="watch-named"),
    pytest.param("get", "/api/v1/pods", id="get-collection"),
    pytest.param("delete", "/api/v1/pods", id="delete-nameless"),
    pytest.param("delete", f"/api/v1/pods?{NAMED}", id="delete-nameless-with-field-selector"),
    pytest.param("deletecollection", "/api/v1/pods/a", id="deletecollection-named"),
    pytest.param("head", "/api/v1/pods/a", id="method-is-no-verb-on-resource"),
    pytest.param("post", "/api/v1/pods", id="post-is-no-verb-on-resource"),
]


@pytest.mark.parametrize(("method", "uri", "expected"), CLAIMS)
def test_request_has_attributes(method: str, uri: str, expected: Attributes) -> None:
    """Rows A2 to A6: method and URI give these attributes."""

    assert expected == request_attributes(method, uri)


@pytest.mark.parametrize("uri", REFUSED)
def test_a6_request_is_refused_before_audit(uri: str) -> None:
    """Row A6: no attributes exist where the server answers 400 or 500 before it audits."""
    with pytest.raises(UnparsableURI):
        request_attributes("GET", uri)
    with pytest.raises(UnparsableURI):
        attributes_for_verb("get", uri)


@pytest.mark.parametrize("function", [request_attributes, attributes_for_verb])
def test_a1_attributes_have_no_place_for_an_impersonated_user(function: Any) -> None:
    """Row A1: the only user that can be handed over is the event's own, which was judged before impersonation."""
    parameters = list(inspect.signature(function).parameters)

    assert parameters[1:] == ["request_uri", "user", "groups"]


def test_a1_user_and_groups_are_passed_on() -> None:
    """Row A1: user and groups stand in the attributes as given, and no user is not an empty one."""
    judged = request_attributes("GET", "/version", "anna", ("dev", "ops"))

    assert judged == Attributes(user="anna", groups=("dev", "ops"), verb="get", path="/version")
    assert (judged,) == attributes_for_verb("get", "/version", "anna", ("dev", "ops"))
    assert request_attributes("GET", "/version").user is None
    assert request_attributes("GET", "/version", "").user == ""


def test_a7_attributes_do_not_depend_on_bodies() -> None:
    """Row A7: a proxied or aggregated request is judged like any other; its missing body says nothing."""
    (judged,) = attributes_for_verb("create", "/apis/metrics.k8s.io/v1/pods")

    assert (judged.api_group, judged.resource, judged.verb) == ("metrics.k8s.io", "pods", "create")
    assert not any("object" in name for name in inspect.signature(attributes_for_verb).parameters)


def test_b8_create_has_no_name_whatever_was_filled_in_later() -> None:
    """Row B8: a create on a collection was judged without a name."""
    (judged,) = attributes_for_verb("create", "/api/v1/namespaces/n/pods")

    assert judged.name == ""


@pytest.mark.parametrize(("verb", "uri"), POSSIBLE)
def test_verb_is_possible(verb: str, uri: str) -> None:
    """Some HTTP method gives this verb on this URI, and one set of attributes comes of it."""
    (judged,) = attributes_for_verb(verb, uri, "u")

    assert (judged.verb, judged.user) == (verb, "u")


@pytest.mark.parametrize(("verb", "uri"), IMPOSSIBLE)
def test_verb_is_impossible(verb: str, uri: str) -> None:
    """No HTTP method gives this verb on this URI."""

    assert attributes_for_verb(verb, uri) == ()


@pytest.mark.parametrize("uri", ["/", "/?a=b", "http://host/"])
def test_b9_logged_root_may_have_been_no_path(uri: str) -> None:
    """Row B9: an event with the path "/" may tell of a CONNECT or of an absolute URI without a path."""
    judged = attributes_for_verb("get", uri, "u", ("g",))

    assert [Attributes("u", ("g",), "get", path="/"), Attributes("u", ("g",), "get", path="")] == list(judged)


@pytest.mark.parametrize("uri", ["//", "/%2F", "http://host", "*", "/a"])
def test_b9_other_paths_were_judged_as_logged(uri: str) -> None:
    """Only the path "/" is ambiguous."""

    assert len(attributes_for_verb("get", uri)) == 1


def test_long_uri_is_resolved_like_a_short_one() -> None:
    """URIs too long for the cache have the same attributes, but for the path."""
    filler = "x" * CACHED_URI_LENGTH

    assert request_attributes("GET", f"/api/v1/pods?watch=1&{filler}") == request_attributes(
        "GET", "/api/v1/pods?watch=1"
    )
    assert request_attributes("GET", f"/api/v1/pods/{filler}").name == filler


def vectors() -> list[Path]:
    return [path for path in (REDUCED_VECTORS, ALL_VECTORS) if path.exists()]


@pytest.mark.parametrize("path", vectors(), ids=["reduced", "all"][: len(vectors())])
def test_corpus_requests_have_upstream_attributes(path: Path) -> None:
    """Real requests have the attributes that upstream 1.35 gave them, and their verbs lead back to these."""
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    differing: list[Any] = []
    for row in rows:
        try:
            judged = request_attributes(row["method"], row["requestURI"])
        except UnparsableURI:
            if row["error"] is None:
                differing.append((row, "refused"))
            continue
        if as_upstream(judged) != row["attr"]:
            differing.append((row, as_upstream(judged)))
        if judged not in attributes_for_verb(judged.verb, row["requestURI"]):
            differing.append((row, "verb does not lead back"))

    assert rows and not differing
