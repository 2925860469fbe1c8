"""Recipes: the four that pixfleet brings, and a user's own."""

import pytest

from pixfleet.config.recipes import (
    RecipeInvalidError,
    RecipeNotFoundError,
    builtin_names,
    load_recipe,
)

OWN = """
name = "own"
quality = 60

[[variants]]
name = "square"
width = 100
height = 100
fit = "fill"
formats = ["webp"]
"""


def test_four_recipes_are_built_in():
    assert builtin_names() == ("archive", "thumbnail", "training", "web")


@pytest.mark.parametrize("name", builtin_names())
def test_each_built_in_recipe_loads_under_its_own_name_and_explains_itself(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description


def test_web_makes_avif_and_jpeg_at_five_widths_and_never_enlarges():
    web = load_recipe("web")
    assert [variant.width for variant in web.variants] == [320, 640, 1024, 1600, 2048]
    assert {variant.formats for variant in web.variants} == {("avif", "jpeg")}
    assert not any(variant.enlarge for variant in web.variants)
    assert "thumbhash" in web.features


def test_training_makes_one_format_whose_shorter_side_is_512_px():
    (variant,) = load_recipe("training").variants
    assert (variant.width, variant.height, variant.fit) == (512, 512, "cover")
    assert len(variant.formats) == 1


def test_a_file_works_where_a_name_does(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    assert load_recipe(str(file)).variants[0].fit == "fill"


def test_a_file_in_the_home_folder_works(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.toml").write_text(OWN)
    assert load_recipe("~/own.toml").name == "own"


def test_a_fleets_own_recipe_goes_before_a_built_in_one(tmp_path):
    (tmp_path / "web.toml").write_text(OWN)
    assert load_recipe("web", str(tmp_path)).quality == 60
    assert load_recipe("thumbnail", str(tmp_path)) == load_recipe("thumbnail")


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(RecipeNotFoundError, match=r"'wbe'.*archive, thumbnail, training, web"):
        load_recipe("wbe")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeNotFoundError, match=r"none\.toml: no such recipe file"):
        load_recipe(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("name = ", "not TOML", id="not TOML"),
        pytest.param(OWN.replace("quality", "qualty"), "qualty: Extra inputs", id="misspelt"),
        pytest.param(OWN.replace('"webp"', '"gif"'), "variants.0.formats.0: ", id="format"),
        pytest.param(OWN.replace("height = 100", ""), "variants.0: fit = 'fill'", id="no box"),
    ],
)
def test_a_wrong_file_is_refused_with_file_path_and_reason(tmp_path, text, reason):
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(RecipeInvalidError) as refused:
        load_recipe(str(file))
    assert str(refused.value).startswith(f"{file}: ")
    assert reason in str(refused.value)


def test_a_file_that_is_no_text_is_refused_with_its_name(tmp_path):
    file = tmp_path / "own.toml"
    file.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(RecipeInvalidError, match=r"own\.toml"):
        load_recipe(str(file))
