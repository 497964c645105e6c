"""The API's description of itself and a page to read it. For the roles only: what is closed is not advertised."""

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.negotiation import DefaultContentNegotiation


class SchemaView(SpectacularAPIView):
    """OpenAPI 3, as YAML or, by the Accept header or `?format=json`, as JSON."""

    content_negotiation_class = DefaultContentNegotiation


class DocsView(SpectacularSwaggerSplitView):
    """Swagger's page. Its script comes from an address of its own: our Content-Security-Policy allows none inline."""

    template_name = "api_docs.html"
    http_method_names = ["get", "head"]  # its renderer has no template for what OPTIONS answers, and breaks
