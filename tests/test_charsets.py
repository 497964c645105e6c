"""The charset that a request names is not believed: text is UTF-8 (P3: no input makes a 5xx)."""

from io import BytesIO
from wsgiref.util import setup_testing_defaults

import pytest

from abm_project.wsgi import Utf8Request, application

pytestmark = pytest.mark.django_db
CODECS = ["hex", "rot13", "zlib", "idna", "punycode", "undefined", "unicode_escape", "utf-16", "latin-1", "nonsense"]
FORM = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n\\ud800\r\n--x--\r\n'


@pytest.fixture(autouse=True)
def served_here(settings):
    settings.ALLOWED_HOSTS = ["127.0.0.1"]


def sent(content_type, query="", form=None):
    """As a server hands it over; Django's own test client would build the request by itself."""
    environ = {"PATH_INFO": "/login", "QUERY_STRING": query, "CONTENT_TYPE": content_type}
    if form is not None:
        environ |= {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(form)), "wsgi.input": BytesIO(form)}
    setup_testing_defaults(environ)
    return environ


def status(environ):
    said = []
    b"".join(application(environ, lambda line, headers: said.append(line)))
    return int(said[0].split()[0])


@pytest.mark.parametrize("codec", CODECS)
def test_a_page_is_served_whatever_charset_is_named(codec):
    assert status(sent(f"text/plain; charset={codec}", "next=%5Cud800")) == 200


@pytest.mark.parametrize("codec", CODECS)
def test_a_form_is_answered_whatever_charset_is_named(codec):
    assert status(sent(f"multipart/form-data; boundary=x; charset={codec}", form=FORM)) == 403  # no CSRF token


@pytest.mark.parametrize("said", ["text/plain; a*=nonsense''x", "text/plain; a*=idna''%ff", ";;;", "x; charset"])
def test_a_content_type_that_makes_no_sense_is_none(said):
    assert status(sent(said)) == 200
    assert status(sent(said, form=FORM)) == 403


def test_too_many_parameters_are_refused_with_a_charset_too():
    assert status(sent("text/plain; charset=utf-8", "a=1&" * 2_000)) == 400


def test_text_is_read_as_utf_8():
    request = Utf8Request(sent("application/x-www-form-urlencoded; charset=latin-1", "b=%C3%A9", b"a=%C3%A9"))

    assert (request.GET["b"], request.POST["a"]) == ("é", "é")
