"""The relay manager: schedule, route, dispatch, report."""
