"""What a cell is made of: paths, names, person marks, and the bound on a row."""

import random

import pytest

from ingestion.cells import MAX_ROW_TEXT, cta, fit, page_path, person_mark, stored_name, text_of


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"$pathname": "/pricing"}, "/pricing"),
        ({"$pathname": "/pricing?email=ann@acme.example#top"}, "/pricing"),
        ({"$pathname": "/a", "$current_url": "https://acme.example/b"}, "/a"),
        ({"$current_url": "https://acme.example/b/?q=1#x"}, "/b/"),
        ({"$pathname": "", "$current_url": "https://acme.example"}, "/"),
        ({"$pathname": None, "$current_url": "/b?q=1"}, "/b"),
        ({"$pathname": ["/a"]}, ""),
        ({"$current_url": "mailto:ann@acme.example"}, ""),
        ({"$current_url": "javascript:alert(1)"}, ""),
        ({"$current_url": "about:blank"}, ""),
        ({"$current_url": "http://[broken"}, ""),
        ({"$current_url": "app://host/screen"}, "/screen"),
        ({"$pathname": "/a\x00\x1f\x7f\x85b\r\n"}, "/ab"),
        ({"$pathname": "/caf\u00e9/\u4e2d"}, "/caf\u00e9/\u4e2d"),
        ({"$pathname": "/half \ud83d character"}, "/half ? character"),
        ({"$pathname": "/" + "x" * 10_000}, "/" + "x" * 1_999),
        ({}, ""),
    ],
)
def test_a_path_is_the_page_and_nothing_else(properties, expected):
    assert page_path(properties) == expected


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"$pathname": "/api", "$current_url": "https://docs.acme.example/api"}, "docs.acme.example/api"),
        ({"$pathname": "/api", "$host": "docs.acme.example:8443"}, "docs.acme.example/api"),
        ({"$pathname": "/api", "$host": "ACME.example"}, "/api"),
        ({"$pathname": "/api", "$current_url": "https://www.acme.example/api", "$host": "other.example"}, "/api"),
        ({"$pathname": "/api"}, "/api"),
        ({"$pathname": "/api", "$host": "not a host"}, "/api"),
    ],
)
def test_a_page_on_a_foreign_host_keeps_its_host(properties, expected):
    assert page_path(properties, site_hosts={"acme.example"}) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://x.example/a?b=/c#d", "x.example/a"),
        ("https://x.example/a#b?c", "x.example/a"),
        ("https://x.example?a", "x.example/"),
        ("https://x.example/a ?b", "x.example/a%20"),
        ("https://x.example/a \t#b", "x.example/a%20"),
        ("https://me?@x.example/a", "me/"),
        ("https://x.example/é?b", "x.example/%C3%A9"),
        ("?a", ""),
        ("mailto:a@x.example?subject=/b", ""),
    ],
)
def test_a_query_or_fragment_changes_nothing_of_host_and_page(url, expected):
    assert page_path({"$current_url": url}, ["www.site.example"]) == expected


def test_names_and_call_to_actions_are_text_of_bounded_length():
    assert stored_name(" Data Center/East ") == "data_center_east"
    assert stored_name("Lane\x00" * 10_000) == ("lane_" * 13)[:64]
    assert [stored_name(value) for value in (None, ["office"], {}, "")] == [""] * 4
    assert cta("hero\x00-" + "x" * 100) == ("hero-" + "x" * 100)[:64]
    assert [cta(value) for value in (None, ["hero"], {"a": 1})] == [""] * 3


def test_numbers_and_truth_values_are_the_text_that_posthog_itself_makes_of_them():
    assert [stored_name(value) for value in (7, 2.5, True, 10**30)] == ["7", "2_5", "true", "1" + "0" * 30]
    assert [cta(value) for value in (12, False)] == ["12", "false"]
    assert [page_path({"$pathname": value}) for value in (7, True, ["/a"])] == ["7", "true", ""]


def test_a_person_mark_is_the_end_of_a_uuid_or_of_a_hash():
    assert person_mark("018F3C5E-1111-7222-8333-ABCDEF012345", "d1") == "abcdef012345"
    assert person_mark("not a uuid", "d1") == person_mark("not a uuid", "d2") != person_mark(None, "d1")
    assert len(person_mark(None, "d1")) == 12
    assert person_mark(None, "half \ud83d") == person_mark("", "half \ud83d")
    assert person_mark(None, None) == ""


def test_a_row_that_fits_is_left_alone():
    cells = {("page_view", "", "", "", f"/{number}"): 1 for number in range(10)}

    assert fit(cells, 10) == 0
    assert len(cells) == 10


def test_the_rarest_paths_are_cut_to_two_segments():
    cells = {("page_view", "", "", "", f"/docs/api/{number}"): number + 1 for number in range(10)}

    assert fit(cells, 5) == 6

    assert cells == {
        ("page_view", "", "", "", "/docs/api"): 1 + 2 + 3 + 4 + 5 + 6,
        **{("page_view", "", "", "", f"/docs/api/{number}"): number + 1 for number in range(6, 10)},
    }


def test_a_foreign_host_is_kept_when_its_path_is_cut():
    cells = {("page_view", "", "", "", f"docs.acme.example/a/b/{number}"): 1 for number in range(3)}

    fit(cells, 1)

    assert cells == {("page_view", "", "", "", "docs.acme.example/a/b"): 3}


def test_paths_that_differ_in_the_first_segment_are_dropped():
    cells = {("page_view", "", "", "", f"/{number}"): number + 1 for number in range(10)}

    fit(cells, 5)

    assert cells[("page_view", "", "", "", "")] == 1 + 2 + 3 + 4 + 5 + 6
    assert len(cells) == 5


def test_made_up_lanes_cannot_make_a_row_larger_than_allowed():
    cells = {("page_view", "", f"lane_{number}", "", "/a/b/c"): 1 for number in range(100)}

    fit(cells, 10)

    assert len(cells) == 10
    assert sum(cells.values()) == 100


def test_a_row_of_long_paths_stays_below_what_one_statement_may_hold():
    cells = {("page_view", "", "", "", "/\u4e2d/\u6587/" + f"{number:04}" * 499): 1 for number in range(5_000)}

    assert fit(cells, 5_000) > 0

    assert sum(map(text_of, cells)) <= MAX_ROW_TEXT
    assert sum(cells.values()) == 5_000


def test_the_same_cells_in_any_order_are_cut_alike():
    cells = [(("page_view", "", "", "", f"/a/{number % 7}/{number}"), number % 3 + 1) for number in range(200)]
    shuffled = random.Random(7).sample(cells, len(cells))
    one, other = dict(cells), dict(shuffled)

    assert fit(one, 50) == fit(other, 50)
    assert one == other
