"""Spans of OpenTelemetry, where a program has it: of tasks, steps, calls, waits and webhooks."""
