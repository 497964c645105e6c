from django.apps import AppConfig


class AiSummariesConfig(AppConfig):
    name = "ai_summaries"
    verbose_name = "AI summaries"
