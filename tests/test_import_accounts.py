"""import_accounts: what each line would do, all of the file or nothing, the same a second time."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO, StringIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from abm_project.models import AccountAction
from accounts.csv_import import BATCH, COLUMNS, import_accounts
from accounts.models import CompanyDomain, ProspectCompany
from accounts.resolution import add_alias, merge
from registry.csv_cells import escape, unescape
from registry.models import DomainRule
from tests.factories import DAY, make_company, make_domain_rule, make_user

pytestmark = pytest.mark.django_db

FILE = """\
domain,name,further_domains,owner,salesforce_account_id,salesforce_account_url,salesforce_owner_id,suppression,reason
https://www.Acme.example/about,Acme,"acme.test; acme.invalid.example",sam,0015g00000XyZ12AAA,https://x.my.salesforce.com/1,005A,,
beta.example,,,,,,,customer,"signed, in May"
bücher.example,Bücher,,,,,,,
"""


@pytest.fixture
def load(tmp_path):
    def load(text, **options):
        path, out = tmp_path / "accounts.csv", StringIO()
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        call_command("import_accounts", str(path), stdout=out, **options)
        return out.getvalue()

    return load


def refused(load, text, **options):
    with pytest.raises(CommandError) as refusal:
        load(text, **options)
    return str(refusal.value)


def company(domain):
    return ProspectCompany.objects.get(domain=domain)


def stored():
    return (
        list(ProspectCompany.objects.order_by("domain").values()),
        list(CompanyDomain.objects.order_by("domain").values()),
        list(DomainRule.objects.order_by("domain", "kind").values()),
    )


def test_a_file_makes_its_accounts_with_all_that_it_says_of_them(load):
    sam = make_user("sam")
    assert load(FILE) == "Done: 3 create, 2 alias, 1 owner, 1 salesforce_account_id, 1 salesforce_account_url," + (
        " 1 salesforce_owner_id, 1 suppress.\n"
    )
    acme, beta = company("acme.example"), company("beta.example")

    assert (acme.name, acme.name_source, acme.owner) == ("Acme", "admin", sam)
    assert (acme.salesforce_account_id, acme.salesforce_owner_id) == ("0015g00000XyZ12AAA", "005A")
    assert acme.salesforce_account_url == "https://x.my.salesforce.com/1"
    assert (beta.name, beta.name_source) == ("beta.example", "domain")
    assert company("xn--bcher-kva.example").name == "Bücher"
    assert {row.domain: row.prospect_company for row in CompanyDomain.objects.all()} == {
        "acme.test": acme,
        "acme.invalid.example": acme,
    }
    rule = DomainRule.objects.get()
    assert (rule.domain, rule.kind, rule.reason, rule.enabled) == ("beta.example", "customer", "signed, in May", True)
    assert rule.history.count() == 1


@pytest.mark.parametrize(
    "again",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n") + "\r\n,,,,,,,,\r\n",
        lambda text: (
            text.replace('"signed, in May"', "'signed' in May").replace(",", ";").replace("'signed'", "signed,")
        ),
    ],
    ids=["as it was", "with a byte order mark", "with the ends of Windows", "with semicolons"],
)
def test_a_second_time_it_changes_nothing_however_the_file_is_written(load, again):
    make_user("sam")
    load(FILE)
    once = stored()

    for _ in range(2):
        assert load(again(FILE)) == "Done: 3 nothing.\n"
        assert stored() == once


def test_a_dry_run_says_what_each_line_would_do_and_writes_nothing(load):
    make_user("sam")
    make_company("acme.example", name="acme")
    make_company("acme.test", intent_score=34)
    before = stored()
    said = load(FILE, dry_run=True).splitlines()

    assert said[0].startswith(
        "    line 2 acme.example: rename 'acme' to 'Acme', owner sam, salesforce_account_id 0015g"
    )
    assert said[0].endswith("merge acme.test, which has a score of 34, alias acme.invalid.example")
    assert said[1:3] == [
        "    line 3 beta.example: create, suppress as customer",
        "    line 4 xn--bcher-kva.example: create",
    ]
    assert said[3].startswith("Would do: 2 create, 1 alias, 1 merge,")
    assert stored() == before
    assert not DomainRule.history.exists()


def test_what_a_dry_run_says_is_what_the_import_does(load):
    make_user("sam")
    make_company("acme.test")
    counted = load(FILE, dry_run=True).splitlines()[-1]

    assert load(FILE) == counted.replace("Would do", "Done") + "\n"
    assert company("acme.test").merged_into == company("acme.example")


def test_empty_cells_and_left_out_columns_leave_what_is_there(load):
    sam = make_user("sam")
    make_company("acme.example", name="Acme", name_source="lead", owner=sam, salesforce_account_id="001")
    make_domain_rule("acme.example", "customer", reason="signed")
    before = stored()
    for text in ("domain\nacme.example\n", "domain,name,owner,suppression\nacme.example,,,\n"):
        assert load(text) == "Done: 1 nothing.\n"
    assert stored() == before


def test_a_name_that_a_lead_gave_becomes_the_admins(load):
    make_company("acme.example", name="Acme", name_source="lead")
    assert "1 keep" in load("domain,name\nacme.example,Acme\n")
    assert company("acme.example").name_source == "admin"


def test_another_kind_takes_the_place_of_the_one_before(load):
    make_domain_rule("acme.example", "partner")
    make_domain_rule("other.example", "bot", expires_on=DAY - timedelta(days=400))
    load("domain,suppression\nacme.example,Customer\nother.example,bot\n")

    assert sorted(DomainRule.objects.values_list("domain", "kind", "enabled", "expires_on")) == [
        ("acme.example", "customer", True, None),
        ("acme.example", "partner", False, None),
        ("other.example", "bot", True, None),
    ]


def test_our_own_escaped_cells_come_back_as_they_were(load):
    load("domain;name\nacme.example;'=SUM(A1)\nbeta.example;'Allo\n")

    assert [company(f"{name}.example").name for name in ("acme", "beta")] == ["=SUM(A1)", "'Allo"]
    for text in ("=1", "  -x", "'", "''", "@", "plain", "'plain", "＝1"):
        assert unescape(str(escape(text))) == text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nothing,,,,", "line 2 nothing: 'nothing' is no domain"),
        (",Acme,,,", "line 2 : no domain"),
        ("gmail.com,,,,", "gmail.com is a personal domain and no company's"),
        ("acme.example,,linkedin.com,,", "linkedin.com is a platform domain and no company's"),
        ("acme.example,,a b.example,,", "'a' is no domain"),
        ("acme.example,,,nobody,", "there is no active user 'nobody'"),
        ("acme.example,,,gone,", "there is no active user 'gone'"),
        (
            "acme.example,,,,rival",
            "suppression 'rival' is none of agency, bot, competitor, customer, isp",
        ),
        ("acme.example,,,,personal", "suppression 'personal' is none of"),
        (f"acme.example,{'x' * 256},,,", "name: Ensure this value has at most 255 characters (it has 256)."),
        ("acme.example,a\x00b,,,", "a character that cannot be printed"),
        ("acme.example,a", "too many or too few cells"),
        ("acme.example,a,,,,,", "too many or too few cells"),
        ("alias.example,,,,", "alias.example is a further domain of there.example"),
        ("acme.example,,alias.example,,", "alias.example is a further domain of there.example"),
        ("merged.example,,,,", "merged.example is merged into there.example: take that back first"),
        ("acme.example,,merged.example,,", "merged.example is merged into there.example: take that back first"),
        ("fresh.example,,,,", "fresh.example stands in line 3 already"),
        ("acme.example,,fresh.example,,", "fresh.example stands in line 3 already"),
    ],
)
def test_a_line_that_cannot_be_done_says_why_and_nothing_of_the_file_is_written(load, line, why):
    there, merged = make_company("there.example"), make_company("merged.example")
    add_alias(there, "alias.example")
    merge(merged, there)
    make_user("gone", is_active=False)
    before = stored()
    text = f"domain,name,further_domains,owner,suppression\n{line}\nfresh.example,,,,customer\n"
    if "fresh" in line:
        text = f"domain,name,further_domains,owner,suppression\nother.example,,,,\nfresh.example,,,,customer\n{line}\n"
    for options in ({}, {"dry_run": True}):
        said = refused(load, text, **options)
        assert said.startswith("Nothing was written: 1 lines cannot be done.\n")
        assert why in said
        assert stored() == before


def test_every_problem_of_the_file_is_told_at_once(load):
    said = refused(load, "domain,owner,reason\nx,nobody,why\ngmail.com,,\n")

    assert said.count("\n") == 3


def test_a_merge_that_would_close_a_ring_is_refused(load):
    head, other = make_company("head.example"), make_company("other.example")
    merge(other, head)

    assert "take that back first" in refused(load, "domain,further_domains\nother.example,head.example\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "No column 'domain'."),
        (b"name\nAcme\n", "No column 'domain'."),
        (b"domain,phone\nacme.example,1\n", "Unknown column 'phone'."),
        (b"domain,domain\na.example,b.example\n", "Column 'domain' twice."),
        ("domain,name\nacme.example,Müller\n".encode("latin-1"), "The file is not in UTF-8. Save it as CSV UTF-8."),
        (b'domain,name\nacme.example,"Acme\n', "After line 2: unexpected end of data."),
        (b"PK\x03\x04\x14\x00\x06\x00", "Unknown column"),
        (b"x" * 50_000, "Unknown column"),
    ],
)
def test_what_is_no_such_file_is_refused_as_a_whole(load, text, why):
    assert why in refused(load, text)
    assert not ProspectCompany.objects.exists()


def test_a_file_that_is_not_there_is_said_so():
    with pytest.raises(CommandError, match=r"Nothing was written\. .*No such file"):
        call_command("import_accounts", "nowhere.csv")


def test_a_batch_takes_as_many_queries_as_a_line():
    def queries(number):
        lines = "".join(f"n{number}-{n}.example,N,x{number}-{n}.example,customer\n" for n in range(number))
        with CaptureQueriesContext(connection) as asked:
            import_accounts(BytesIO(b"domain,name,further_domains,suppression\n" + lines.encode()), DAY)
        return len(asked)

    assert BATCH > 20  # more rows than that are several statements to SQLite
    assert queries(20) == queries(1)


# --- Owners -----------------------------------------------------------------------------------------------------------
def history():
    lines = AccountAction.objects.order_by("owner_after", "prospect_company__domain")
    return list(lines.values_list("prospect_company__domain", "done_by_name", "owner_before", "owner_after"))


def test_an_owner_who_comes_from_a_file_stands_in_the_history_once(load):
    maya, sam = make_user("maya"), make_user("sam")
    make_company("acme.example", owner=maya)
    make_company("beta.example", owner=sam)
    text = "domain,owner\nacme.example,sam\nbeta.example,sam\nnew.example,sam\nnobody.example,\n"

    load(text, dry_run=True)
    assert history() == []
    refused(load, text + "gmail.com,sam\n")
    assert history() == []
    for _ in range(2):
        load(text)

    assert history() == [("acme.example", "command line", "maya", "sam"), ("new.example", "command line", "", "sam")]
    assert company("acme.example").owner == company("new.example").owner == sam


WAITING = """SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p
    ON p.id = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.db = DATABASE()"""


@pytest.mark.mariadb  # SQLite locks no rows
@pytest.mark.django_db(transaction=True)
def test_an_import_says_of_an_account_that_was_taken_meanwhile_who_took_it():
    maya, _ = make_user("maya"), make_user("sam")
    acme = make_company("acme.example")

    def importing():
        try:
            import_accounts(BytesIO(b"domain,owner\nacme.example,sam\n"), DAY)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic(), connection.cursor() as cursor:
            ProspectCompany.objects.select_for_update().get(pk=acme.pk)
            coming = threads.submit(importing)
            deadline = time.monotonic() + 20
            while not (cursor.execute(WAITING), cursor.fetchone()[0])[1]:
                assert time.monotonic() < deadline
                time.sleep(0.2)  # asked more often, innodb_trx repeats itself
            ProspectCompany.objects.filter(pk=acme.pk).update(owner=maya)
        coming.result(timeout=20)

    assert history() == [("acme.example", "command line", "maya", "sam")]


def test_owners_of_twenty_lines_take_as_many_queries_as_one():
    sam = make_user("sam")

    def queries(number):
        lines = "".join(f"o{number}-{n}.example,sam\n" for n in range(number))
        with CaptureQueriesContext(connection) as asked:
            import_accounts(BytesIO(b"domain,owner\n" + lines.encode()), DAY, by=sam)
        return len(asked)

    assert queries(20) == queries(1)


# --- In the admin -----------------------------------------------------------------------------------------------------
PAGE = "/admin/accounts/prospectcompany/import/"


@pytest.fixture
def admin(client):
    client.force_login(make_user("ada", role="internal_admin"))
    return client


def upload(client, text):
    content = text if isinstance(text, bytes) else text.encode()
    return client.post(PAGE, {"file": SimpleUploadedFile("accounts.csv", content)})


def shown(answer):
    return " ".join(answer.content.decode().split())


def test_an_upload_shows_what_each_line_would_do_and_a_second_press_does_it(admin):
    make_user("sam")
    first = upload(admin, FILE)
    assert "create, suppress as customer" in shown(first)
    assert not ProspectCompany.objects.exists()

    confirmed = admin.post(PAGE, {"content": first.context["content"]}, follow=True)
    assert "3 create" in shown(confirmed)
    assert ProspectCompany.objects.count() == 3
    assert DomainRule.history.get().history_user.username == "ada"
    assert (history(), AccountAction.objects.get().done_by.username) == ([("acme.example", "ada", "", "sam")], "ada")


def test_an_upload_with_problems_shows_them_and_cannot_be_confirmed(admin):
    answer = upload(admin, "domain,name\ngmail.com,<b>Google</b>\nacme.example,Acme\n")

    assert answer.status_code == 400
    assert "gmail.com is a personal domain" in shown(answer)
    assert 'name="content"' not in shown(answer)
    forced = base64.b64encode(b"domain\ngmail.com\nacme.example\n").decode()
    assert admin.post(PAGE, {"content": forced}).status_code == 400
    assert not ProspectCompany.objects.exists()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({}, "Choose a file."),
        ({"content": "!!"}, "Choose the file again."),
        ({"file": SimpleUploadedFile("a.csv", b"phone\n1\n")}, "Unknown column"),
        ({"file": SimpleUploadedFile("a.csv", b"domain\n" + b"a.example\n" * 200_000)}, "manage.py import_accounts"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(admin, sent, why):
    answer = admin.post(PAGE, sent)

    assert answer.status_code == 400
    assert why in shown(answer)


def test_the_page_names_the_columns_and_is_for_admins_only(admin, client):
    text = shown(admin.get(PAGE))
    assert all(f"<code>{name}</code>" in text for name in COLUMNS)
    assert 'href="/admin/accounts/prospectcompany/import/"' in shown(admin.get("/admin/accounts/prospectcompany/"))

    client.force_login(make_user("sam"))
    assert client.post(PAGE, {}).status_code == 302
