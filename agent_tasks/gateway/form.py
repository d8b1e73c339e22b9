"""The fields of a form that a page has sent."""

from urllib.parse import parse_qsl

from agent_tasks.gateway.refusals import Refused

FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 500


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of a form, by name. Raises Refused for a body that is none."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:  # also of UTF-8
        raise Refused(
            400,
            "invalid_form",
            "The form cannot be read",
            f"The body is no form in UTF-8 of at most {_MOST_FIELDS} fields.",
        ) from None
