"""The API fuzzed over real HTTP: nginx and gunicorn as documented, MariaDB, and a token (reliability P3)."""

from collections import Counter
from urllib.parse import urlsplit

import pytest
import schemathesis
from django.conf import settings
from redis import Redis
from schemathesis import GenerationMode

from tests.installation import installation
from tests.test_api_fuzz import fuzz
from tests.test_hook_faults import UNSLOWED, Web, nginx
from tests.test_kills import dev  # noqa: F401 - a fixture

DATABASE = settings.DATABASES["default"]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("mysql" not in DATABASE["ENGINE"], reason="needs a MariaDB server and Redis"),
]
EXAMPLES = 10  # of each operation, of good requests and of bad ones
STAGE = """
from tests.factories import make_token, make_user
from tests.test_api_fuzz import make_rows
make_rows()
print("token:", make_token(make_user(role="internal_admin"), "internal_admin"))
"""


@pytest.fixture
def address(dev, tmp_path):  # noqa: F811
    """Of the proxy, and a token. What is queued stays there: no worker follows."""
    redis = urlsplit(settings.REDIS_URL)._replace(path="/12").geturl()
    server = {"host": DATABASE["HOST"], "port": int(DATABASE["PORT"] or 3306)}
    server |= {"user": DATABASE["USER"], "password": DATABASE["PASSWORD"]}
    with Redis.from_url(redis) as client, installation(server, REDIS_URL=redis, **UNSLOWED) as home:
        home.empty("abm_score_weights", "abm_event_rules", "abm_prompt_templates", "abm_score_configs")
        token = home.run("shell", "--no-imports", "-c", STAGE).split("token: ")[1].split()[0]
        web = Web(dev, home, tmp_path, DATABASE_PROFILE="jobs")  # a machine that is slow may say 503 by the other
        try:
            with nginx(dev, web.port, tmp_path) as port:
                yield f"http://localhost:{port}", token
            assert "Traceback" not in web.said()
        finally:
            web.kill()
            client.flushdb()


def test_a_thousand_requests_over_http_are_answered_as_described(address):
    base, token = address
    known = {"base_url": base, "headers": {"Authorization": f"Token {token}"}, "timeout": 60}
    schema = schemathesis.openapi.from_url(f"{base}/api/schema/?format=json", headers=known["headers"], timeout=60)
    answered = Counter()
    for found in schema.get_all_operations():
        for mode in GenerationMode:
            fuzz(found.ok(), mode, known, answered, examples=EXAMPLES)

    assert answered.total() >= 1_000
    assert {status for _, status in answered} >= {200, 201, 202, 400, 404}
