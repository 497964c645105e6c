"""`create_user`: a user with a role, safe to run twice."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db
GIVEN = "a long enough passphrase"


def create(name="sam", role="sales", **options):
    out = io.StringIO()
    call_command("create_user", name, role=role, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def typed(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{GIVEN}\n"))


def facts(name="sam"):
    user = User.objects.get(username=name)
    return [group.name for group in user.groups.all()], user.is_staff


def test_a_new_user_gets_a_password_that_works(client):
    password = create().split("Password: ")[1].strip()

    assert client.login(username="sam", password=password)
    assert facts() == (["sales"], False)


def test_a_second_run_changes_the_role_and_leaves_the_password(client):
    password = create().split("Password: ")[1].strip()
    for _ in range(2):
        said = create(role="internal_admin")

        assert "Updated sam with the role internal_admin." in said
        assert "The password stays as it was" in said
        assert facts() == (["internal_admin"], True)
    create(role="sales")
    assert facts() == (["sales"], False)
    assert client.login(username="sam", password=password)


@pytest.mark.parametrize("existing", [False, True])
def test_a_password_from_standard_input_is_set_and_not_printed(client, typed, existing):
    if existing:
        create()

    assert GIVEN not in create(password_stdin=True)
    assert client.login(username="sam", password=GIVEN)


def test_a_weak_password_is_refused_and_nothing_is_left(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))

    with pytest.raises(CommandError, match="too short"):
        create(password_stdin=True)
    assert not User.objects.exists()


def test_a_name_django_refuses_is_refused():
    with pytest.raises(CommandError, match="Enter a valid username"):
        create("two words")


def test_a_role_that_does_not_exist_is_refused():
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("create_user", "sam", "--role", "boss")


@pytest.mark.parametrize(
    ("name", "password"), [("\udcff", b"a long enough passphrase"), ("sam", b"a long \xff passphrase")]
)
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_bytes_that_are_no_text_are_refused(monkeypatch, name, password, errors):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(password), encoding="utf-8", errors=errors))

    with pytest.raises(CommandError, match="UTF-8"):
        create(name, password_stdin=True)
    assert not User.objects.exists()
