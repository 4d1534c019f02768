"""Texts from outside, as every database takes them."""

from image_builder.jobs.job import Status
from image_builder.jobs.store import end_values


def test_the_context_of_a_job_is_one_that_databases_take() -> None:
    context = end_values(Status.FAILED, "base 'a\0b\udcff': none")["context"]

    assert context == "base 'a\ufffdb?': none"
