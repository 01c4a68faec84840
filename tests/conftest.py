"""The plugins of all tests: pytest loads them from no folder further down."""

pytest_plugins = ["helm_chart_test.plugin", "pytester"]
