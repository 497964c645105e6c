from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class AbmProjectConfig(AppConfig):
    name = "abm_project"
    verbose_name = "Orbit"

    def ready(self) -> None:
        from abm_project import access, checks  # noqa: F401, PLC0415 - apps are not loaded before ready()

        # Sent by the app whose tables it writes.
        post_migrate.connect(access.make_groups, sender=apps.get_app_config("auth"))
