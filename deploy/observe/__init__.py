"""What watches Tributary: alert rules with unit tests, dashboards, and how a consumer's state is judged."""
