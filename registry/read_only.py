"""Admin pages of derived rows: to look at, never to edit, whoever asks."""

from django.http import HttpRequest

from registry.strict_admin import StrictAdmin


class ReadOnlyAdmin(StrictAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
