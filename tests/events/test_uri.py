"""Request URIs read as Go's net/url reads them. tests/oracle/test_request_attributes.py asks Go the same."""

from __future__ import annotations

import pytest

from kaudit_core.events.uri import MAX_PARAMETERS, UnparsableURI, parse_query, parse_request_uri

PARSED = [
    pytest.param("/api/v1/pods", "/api/v1/pods", "", id="path"),
    pytest.param("/", "/", "", id="root"),
    pytest.param("*", "*", "", id="asterisk-form"),
    pytest.param("//pods//a", "//pods//a", "", id="two-slashes-are-no-authority"),
    pytest.param("//[:::/x", "//[:::/x", "", id="two-slashes-are-no-authority-whatever-follows"),
    pytest.param("/a/../b/./c", "/a/../b/./c", "", id="dots-stay"),
    pytest.param("/a#b?c#d", "/a#b", "c#d", id="fragments-are-not-cut-off"),
    pytest.param("/a b", "/a b", "", id="space-is-taken"),
    pytest.param("/a+b", "/a+b", "", id="plus-in-path-stays"),
    pytest.param("/a;b=c", "/a;b=c", "", id="semicolon-in-path-stays"),
    pytest.param("/a%2Fb%2fc", "/a/b/c", "", id="escaped-slash-is-decoded"),
    pytest.param("/a%00%0a%7F", "/a\x00\n\x7f", "", id="escaped-control-characters-are-taken"),
    pytest.param("/%C5%BC\u017c", "/\u017c\u017c", "", id="utf-8-escaped-and-bare"),
    pytest.param("/%ff%fe", "/\udcff\udcfe", "", id="not-utf-8-becomes-surrogate-escapes"),
    pytest.param("/\udcff", "/\udcff", "", id="surrogate-escapes-stay"),
    pytest.param("/\udcc5%BC", "/\u017c", "", id="escaped-and-bare-bytes-join"),
    pytest.param("/a?", "/a", "", id="empty-query"),
    pytest.param("/a??", "/a", "?", id="second-question-mark-is-query"),
    pytest.param("/a?b?c=%zz", "/a", "b?c=%zz", id="query-is-not-decoded"),
    pytest.param("/%3f", "/?", "", id="escaped-question-mark-begins-no-query"),
    pytest.param("http://host/a?b", "/a", "b", id="absolute-form"),
    pytest.param("HTTP://u:p@host:80/a", "/a", "", id="absolute-form-with-user-and-port"),
    pytest.param("http://host", "", "", id="authority-without-path"),
    pytest.param("http://host?a", "", "a", id="authority-without-path-with-query"),
    pytest.param("http://[fe80::1%25eth0]:443/a", "/a", "", id="ipv6-authority-with-zone"),
    pytest.param("http://[fe80::1%25a%20b%25c]/a", "/a", "", id="space-and-percent-in-zone"),
    pytest.param("http://a%25b%C5%BC\u017c/a", "/a", "", id="percent-and-non-ascii-in-host"),
    pytest.param("http:///a", "/a", "", id="empty-authority"),
    pytest.param("x:/a", "/a", "", id="scheme-without-authority"),
    pytest.param("mailto:x@y", "", "", id="opaque-has-no-path"),
    pytest.param("x:?q", "", "q", id="opaque-with-query"),
    pytest.param("x:%zz", "", "", id="opaque-is-not-decoded"),
    pytest.param("postgres://a:1,b:2:3/x", "/x", "", id="other-schemes-take-many-colons"),
]

REFUSED = [
    pytest.param("", id="empty"),
    pytest.param("api/v1/pods", id="no-leading-slash"),
    pytest.param("?watch=1", id="query-alone"),
    pytest.param("**", id="asterisk-with-more"),
    pytest.param("x@y", id="logged-opaque-part"),
    pytest.param(":/a", id="missing-scheme"),
    pytest.param("1x:/a", id="scheme-begins-with-digit"),
    pytest.param("-x:/a", id="scheme-begins-with-dash"),
    pytest.param("/%zz", id="bad-escape"),
    pytest.param("/a%4", id="short-escape"),
    pytest.param("/a%", id="bare-percent"),
    pytest.param("/a\tb", id="tab"),
    pytest.param("/a?b\n", id="newline-in-query"),
    pytest.param("/a\x7f", id="delete-character"),
    pytest.param("/\ud800", id="half-a-utf-16-pair"),
    pytest.param("http://a b/", id="space-in-host"),
    pytest.param("http://a%41/", id="escaped-ascii-in-host"),
    pytest.param("http://a:x/", id="port-is-no-number"),
    pytest.param("http://a:1:2/", id="two-colons-in-http-host"),
    pytest.param("http://[::1/", id="unclosed-bracket"),
    pytest.param("http://a[::1]/", id="bracket-after-name"),
    pytest.param("http://[1.2.3.4]/", id="ipv4-in-brackets"),
    pytest.param("http://[::1]x/", id="text-after-bracket"),
    pytest.param("http://[::1%eth0]/", id="bare-zone"),
    pytest.param("http://[::1%25]/", id="empty-zone"),
    pytest.param("http://[::1%25%01]/", id="control-character-in-zone"),
    pytest.param("http://us er@a/", id="space-in-user"),
    pytest.param("http://u%zz@a/", id="bad-escape-in-user"),
]

QUERIES = [
    pytest.param("", {}, id="empty"),
    pytest.param("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}, id="values-keep-their-order"),
    pytest.param("a&=b&&c=", {"a": [""], "": ["b"], "c": [""]}, id="missing-names-and-values"),
    pytest.param("a=b=c", {"a": ["b=c"]}, id="first-equals-sign-splits"),
    pytest.param("a+b=c+d%2B", {"a b": ["c d+"]}, id="plus-is-a-space"),
    pytest.param("a;b=1&c=2;3&d=4", {"d": ["4"]}, id="semicolon-drops-the-parameter"),
    pytest.param("a=%3B", {"a": [";"]}, id="escaped-semicolon-is-data"),
    pytest.param("a=%zz&%=1&b=%4&c=1", {"c": ["1"]}, id="bad-escape-drops-the-parameter"),
    pytest.param("a=%ff", {"a": ["\udcff"]}, id="not-utf-8-becomes-surrogate-escapes"),
    pytest.param("&" * (MAX_PARAMETERS - 2) + "a=1", {"a": ["1"]}, id="just-few-enough-parameters"),
    pytest.param("a=1" + "&" * MAX_PARAMETERS, {}, id="too-many-parameters-are-none"),
]


@pytest.mark.parametrize(("uri", "path", "raw_query"), PARSED)
def test_request_uri_is_parsed_as_go_does(uri: str, path: str, raw_query: str) -> None:
    """Path and query come out as Go's ParseRequestURI gives them."""

    assert (path, raw_query) == parse_request_uri(uri)


@pytest.mark.parametrize("uri", REFUSED)
def test_request_uri_is_refused_as_go_does(uri: str) -> None:
    """What Go refuses raises an error whose text is a sentence in ASCII."""
    with pytest.raises(UnparsableURI) as raised:
        parse_request_uri(uri)

    assert str(raised.value).isascii() and str(raised.value).endswith(".")


@pytest.mark.parametrize(("raw_query", "expected"), QUERIES)
def test_query_is_decoded_as_go_does(raw_query: str, expected: dict[str, list[str]]) -> None:
    """Broken parameters disappear, the others keep their order."""

    assert expected == parse_query(raw_query)
