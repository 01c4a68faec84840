"""The plugins of all tests: pytest loads them from no folder further down."""

from hypothesis import settings

pytest_plugins = ["helm_chart_test.plugin", "pytester"]

# A test that is slow once on a busy machine has found nothing.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
