"""Lists of values on the command line, and output that fits 80 columns."""

import pytest

from headstart.flows.cli.options import spread_lists

OPTIONS, FLAGS = ("--head", "--backbone", "--trust"), ("--json",)


@pytest.mark.parametrize(
    ("words", "spread"),
    [
        ("fit C --head a b", "fit C --head a --head b"),
        ("fit C --head a b --folds 3", "fit C --head a --head b --folds 3"),
        ("fit C --folds 3 --head a b c", "fit C --folds 3 --head a --head b --head c"),
        ("fit C --head a --head b", "fit C --head a --head b"),
        ("extract --backbone a photos", "extract --backbone a photos"),
        ("extract --json photos --backbone a b", "extract --json photos --backbone a --backbone b"),
        ("predict M photos --out o.csv", "predict M photos --out o.csv"),
        ("backbones resnet*", "backbones resnet*"),
        ("fit C --head=a b", "fit C --head=a b"),
    ],
)
def test_a_list_option_takes_every_value_that_follows_the_path(words: str, spread: str) -> None:
    assert spread_lists(words.split(), OPTIONS, FLAGS) == spread.split()


@pytest.mark.parametrize(
    ("words", "spread"),
    [
        ("predict --trust a M photos", "predict --trust a M photos"),
        ("predict --trust a M photos --trust b c", "predict --trust a M photos --trust b --trust c"),
    ],
)
def test_a_command_of_two_paths_gets_both_before_a_list_takes_more(words: str, spread: str) -> None:
    assert spread_lists(words.split(), OPTIONS, FLAGS, n_arguments=2) == spread.split()
