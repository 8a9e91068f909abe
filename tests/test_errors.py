"""Errors keep their words on the way out of a worker process."""

import pickle

import pytest

from ood_lightning import errors

MADE_OF = {
    errors.EmptySideError: (0, 3),
    errors.ShardCountError: ("s", 1, 2),
    errors.UnwritableError: ("/a/b", "No space left on device"),
}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.UserError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_in_another_process(kind: type[errors.UserError]):
    error = kind(*MADE_OF.get(kind, ("what was wrong",)))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error) != ""
