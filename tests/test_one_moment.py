"""Several queries see one moment, and nobody waits for them."""

import threading

import pytest
from django.db import connection, transaction

from abm_project.dashboards.one_moment import one_moment
from accounts.models import ProspectCompany
from tests.factories import make_company

pytestmark = pytest.mark.django_db(transaction=True)


def elsewhere(write):
    """On a connection of its own, to its end."""
    failed = []

    def run():
        try:
            write()
        except Exception as error:  # noqa: BLE001 - handed to the test
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert failed == []


def names():
    return sorted(ProspectCompany.objects.values_list("name", flat=True))


def rename(name):
    def write():
        with transaction.atomic():
            ProspectCompany.objects.update(name=name)
            make_company(f"{name}.example", name=name)

    return write


@pytest.mark.mariadb
def test_what_is_committed_meanwhile_is_seen_afterwards_and_writers_do_not_wait():
    make_company("acme.example", name="old")

    with one_moment():
        assert names() == ["old"]
        elsewhere(rename("new"))
        with one_moment():
            assert names() == ["old"]
        assert names() == ["old"]
    assert names() == ["new", "new"]


def test_a_failure_inside_leaves_the_connection_as_it_was():
    with pytest.raises(ZeroDivisionError), one_moment():
        names()
        raise ZeroDivisionError
    elsewhere(rename("new"))

    assert names() == ["new"]
    with one_moment():
        assert names() == ["new"]
    with transaction.atomic():
        make_company("other.example", name="written")
    assert names() == ["new", "written"]


def test_a_connection_that_breaks_inside_says_its_own_error_and_the_next_one_works():
    with pytest.raises(ZeroDivisionError), one_moment():
        connection.close()
        raise ZeroDivisionError

    make_company("acme.example", name="new")
    with one_moment():
        assert names() == ["new"]


def test_inside_a_transaction_it_is_that_transactions_moment():
    with transaction.atomic():
        make_company("acme.example", name="mine")
        with one_moment():
            assert names() == ["mine"]
        transaction.set_rollback(True)

    assert names() == []
