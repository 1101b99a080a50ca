"""Durable state: events and catalogue changes go in and are on disk when the call returns."""
