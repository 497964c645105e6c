"""Every route of the product, one line each."""

from django.contrib import admin
from django.urls import path

from abm_project import account_pages, failures, health, lane_pages, pages, people_pages, run_pages, sign_in
from abm_project.api import briefs, hook, jobs, leads, registry, rule_tests, schema, versions

urlpatterns = [
    path("", pages.hot_accounts, name="hot_accounts"),
    path("accounts.csv", pages.accounts_csv, name="accounts_csv"),
    path("accounts/<str:domain>", account_pages.account, name="account"),
    path("accounts/<str:domain>/ledger.csv", account_pages.ledger_csv, name="ledger_csv"),
    path("accounts/<str:domain>/owner", account_pages.owner, name="account_owner"),
    path("accounts/<str:domain>/snooze", account_pages.snooze, name="account_snooze"),
    path("accounts/<str:domain>/contacted", account_pages.contacted, name="account_contacted"),
    path("movers", pages.movers, name="movers"),
    path("lanes", lane_pages.lanes, name="lanes"),
    path("people", people_pages.people, name="people"),
    path("runs", run_pages.runs, name="runs"),
    path("runs/domains", run_pages.domains, name="run_domains"),
    path("runs/<uuid:id>", run_pages.run, name="run"),
    path("runs/<uuid:id>/row", run_pages.row, name="run_row"),
    path("runs/<uuid:id>/progress", run_pages.progress, name="run_progress"),
    path("login", sign_in.login, name="login"),
    path("logout", sign_in.logout, name="logout"),
    path("password", sign_in.change, name="password_change"),
    path("password/forgotten", sign_in.forgotten, name="password_forgotten"),
    path("password/sent", sign_in.sent, name="password_sent"),
    path("password/new/<uidb64>/<token>", sign_in.new, name="password_new"),
    path("api/hooks/lead-requests", hook.LeadHook.as_view()),
    path("api/abm/accounts/<uuid:id>/ai-summary", briefs.AISummary.as_view()),
    path("api/abm/lead-requests", leads.LeadList.as_view()),
    path("api/abm/lead-requests.csv", leads.LeadsCSV.as_view()),
    path("api/abm/lead-requests/<uuid:id>", leads.LeadDetail.as_view()),
    path("api/abm/jobs", jobs.JobList.as_view()),
    path("api/abm/jobs/recompute-intent", jobs.RecomputeIntent.as_view()),
    path("api/abm/jobs/<uuid:id>", jobs.JobDetail.as_view()),
    path("api/abm/jobs/<uuid:id>/publish", jobs.PublishNight.as_view()),
    path("api/abm/admin/event-rules", registry.RuleList.as_view()),
    path("api/abm/admin/event-rules/test", rule_tests.TryRules.as_view()),
    path("api/abm/admin/event-rules/<uuid:id>", registry.RuleView.as_view()),
    path("api/abm/admin/event-rules/<uuid:id>/history", registry.RuleHistory.as_view()),
    path("api/abm/admin/score-configs", registry.ConfigList.as_view()),
    path("api/abm/admin/score-configs/<uuid:id>", registry.ConfigView.as_view()),
    path("api/abm/admin/score-configs/<uuid:id>/history", registry.ConfigHistory.as_view()),
    path("api/abm/admin/score-configs/<uuid:id>/clone", versions.CloneConfig.as_view()),
    path("api/abm/admin/score-configs/<uuid:id>/preview", versions.PreviewConfig.as_view()),
    path("api/abm/admin/score-configs/<uuid:id>/activate", versions.ActivateConfig.as_view()),
    path("api/abm/admin/score-weights", registry.WeightList.as_view()),
    path("api/abm/admin/score-weights/<uuid:id>", registry.WeightView.as_view()),
    path("api/abm/admin/score-weights/<uuid:id>/history", registry.WeightHistory.as_view()),
    path("api/abm/admin/prompt-templates", registry.PromptList.as_view()),
    path("api/abm/admin/prompt-templates/<uuid:id>", registry.PromptView.as_view()),
    path("api/abm/admin/prompt-templates/<uuid:id>/history", registry.PromptHistory.as_view()),
    path("api/abm/admin/domain-rules", registry.DomainRuleList.as_view()),
    path("api/abm/admin/domain-rules/<uuid:id>", registry.DomainRuleView.as_view()),
    path("api/abm/admin/domain-rules/<uuid:id>/history", registry.DomainRuleHistory.as_view()),
    path("api/abm/admin/revisions", versions.RevisionList.as_view()),
    path("api/abm/admin/revisions/<uuid:id>/roll-back", versions.RollBack.as_view()),
    path("api/schema/", schema.SchemaView.as_view(), name="schema"),
    path("api/docs/", schema.DocsView.as_view(), name="api_docs"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("admin/login/", sign_in.admin_login),  # before Django admin's own: one login page, one way out
    path("admin/logout/", sign_in.logout),
    path("admin/r/<path:object>", admin.site.admin_view(pages.no_such_page)),  # Django's breaks on junk; no row has one
    path("admin/", admin.site.urls),
]

handler400 = failures.bad_request
handler403 = failures.permission_denied
handler404 = failures.not_found
handler500 = failures.server_error
