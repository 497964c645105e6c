"""Leads and pulls can be looked at in the admin, and not changed."""

import pytest
from django.urls import reverse

from tests.factories import make_lead, make_pull, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("make", [make_lead, make_pull])
def test_what_came_in_is_shown_but_cannot_be_edited(client, make):
    client.force_login(make_user("root", is_superuser=True, is_staff=True))
    row = make()
    page = f"admin:ingestion_{row._meta.model_name}_"
    one = reverse(page + "change", args=[row.pk])

    assert client.get(reverse(page + "changelist")).status_code == 200
    assert client.get(one).status_code == 200
    assert client.post(one, {}).status_code == 403
    assert client.get(reverse(page + "add")).status_code == 403
    assert client.post(reverse(page + "delete", args=[row.pk]), {"post": "yes"}).status_code == 403
