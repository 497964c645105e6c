"""What is wrong with the registry, for the pages of Django admin."""

from django import template

from registry import loader

register = template.Library()


@register.simple_tag
def registry_alarm() -> tuple[str, ...]:
    return loader.registry_alarm()
