"""What a text may mean: everyday words, words of a name, nearest spellings; nothing is taken."""

from __future__ import annotations

import pytest
from networks import CATEGORIES

import pullback_widgets as pw
from pullback_widgets.engine.suggestions import everyday, exact, suggestions
from pullback_widgets.networks.imagenet import imagenet_categories


@pytest.fixture(scope="module")
def imagenet() -> tuple[str, ...]:
    names = imagenet_categories(1000)
    assert names is not None and pw.load_model("efficientnet_lite0").categories == tuple(names)
    return tuple(names)


def named(text: str, names: tuple[str, ...], limit: int = 8) -> list[str]:
    return [names[i] for i in suggestions(text, names, limit)]


def test_everyday_words_stand_for_classes_of_imagenet(imagenet: tuple[str, ...]) -> None:
    unknown = [name for group in everyday() for name in group.classes if name not in imagenet]
    assert not unknown
    words = [word for group in everyday() for word in group.words]
    assert len(words) > 100 and len(words) == len(set(words))
    assert all(word == " ".join(word.casefold().split()) for word in words)
    for group in everyday():
        assert group.classes and len(group.classes) == len(set(group.classes))


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("dog", ["golden retriever", "Labrador retriever"]),
        ("  DOGS ", ["golden retriever"]),
        ("sofa", ["studio couch"]),
        ("bike", ["mountain bike"]),
        ("phone", ["cellular telephone"]),
        ("tv", ["television"]),
        ("airplane", ["airliner"]),
        ("plane", ["plane", "airliner"]),  # a carpenter's: what is called so comes first
        ("golf", ["golf ball", "golfcart"]),
        ("face", ["face powder"]),
        ("espres", ["espresso maker", "espresso"]),
        ("golf bal", ["golf ball"]),
        ("golf bat", ["golf ball"]),
        ("expresso", ["espresso"]),
        ("elefant", ["African elephant"]),
        ("blak dog", ["golden retriever"]),
        ("my red cab", ["cab"]),
        ("black cat with a hat", ["cowboy hat"]),
        ("espresso thing", ["espresso"]),
        ("Cardigan", ["Cardigan", "cardigan"]),
    ],
)
def test_what_is_offered_first(text: str, first: list[str], imagenet: tuple[str, ...]) -> None:
    assert named(text, imagenet)[: len(first)] == first


@pytest.mark.parametrize("text", ["", "  ", "xyzzy", "²", "no such class", "?"])
def test_nothing_is_offered_for_what_is_like_no_name(text: str, imagenet: tuple[str, ...]) -> None:
    assert suggestions(text, imagenet) == []


def test_dogs_are_dogs_and_no_more_than_asked_for(imagenet: tuple[str, ...]) -> None:
    assert all(151 <= i <= 275 for i in suggestions("dog", imagenet))
    assert [len(suggestions("dog", imagenet, n)) for n in (1, 3, 8)] == [1, 3, 8]
    for text in ("dog", "cat", "a", "golf"):
        found = suggestions(text, imagenet, 1000)
        assert len(found) == len(set(found))


def test_other_words_for_the_same_are_found_where_they_are_the_names() -> None:
    names = ("airplane", "automobile", "bird", "ship")
    assert named("car", names) == ["automobile"]
    assert named("plane", names) == ["airplane"]


def test_the_whole_words_come_before_parts() -> None:
    assert named("cat", ("catfish", "black cat", "bobcat", *CATEGORIES)) == [
        "cat",
        "black cat",
        "tabby cat",
        "catfish",
        "bobcat",
    ]


def test_a_synonym_is_exact_and_a_part_is_not() -> None:
    names = ("tench, Tinca tinca", "face powder")
    assert exact("tinca  TINCA", names) == [0] and exact("tench", names) == [0]
    assert exact("face", names) == [] and exact("tinca", names) == [] and exact("", names) == []
