"""Every route of the product, one line each."""

from django.contrib import admin
from django.urls import path

from abm_project import failures, pages

urlpatterns = [
    path("", pages.hot_accounts, name="hot_accounts"),
    path("accounts.csv", pages.accounts_csv, name="accounts_csv"),
    path("accounts/<str:domain>", pages.account, name="account"),
    path("login", pages.login, name="login"),
    path("logout", pages.logout, name="logout"),
    path("admin/login/", pages.admin_login),  # before Django admin's own: one login page, one way out
    path("admin/logout/", pages.logout),
    path("admin/r/<path:object>", admin.site.admin_view(pages.no_such_page)),  # Django's breaks on junk; no row has one
    path("admin/", admin.site.urls),
]

handler400 = failures.bad_request
handler403 = failures.permission_denied
handler404 = failures.not_found
handler500 = failures.server_error
