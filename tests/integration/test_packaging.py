"""What the wheel holds, and what an application that only enqueues gets from it."""

import ast
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PARTS = ("config", "producer", "workers")
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def _files(suffix: str = "") -> list[Path]:
    """Every file of the three parts, relative to the top."""
    return [
        file.relative_to(TOP)
        for part in PARTS
        for file in (TOP / part).rglob(f"*{suffix}")
        if file.is_file() and "__pycache__" not in file.parts
    ]


def _python(python: Path, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-I", "-W", "error", "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_listed_packages_are_the_folders_with_code():
    folders = {f"pixfleet.{'.'.join(file.parent.parts)}" for file in _files(".py")}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders)


@pytest.mark.parametrize("file", sorted(_files(".py")), ids=str)
def test_a_module_imports_its_own_kind_by_dot_or_by_pixfleet(file):
    tree = ast.parse((TOP / file).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            assert name.split(".")[0] not in PARTS, f"line {node.lineno}: import pixfleet.{name}"


def test_every_file_of_the_three_parts_is_in_the_wheel(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    missing = {str(file) for file in _files() if f"pixfleet/{file.as_posix()}" not in held}
    assert not missing


def test_the_wheel_brings_the_procfile_of_which_there_is_one(wheel):
    inside = zipfile.ZipFile(wheel).read("pixfleet/workers/Procfile")
    assert inside == (TOP / "Procfile").read_bytes()
    assert (TOP / "workers" / "Procfile").samefile(TOP / "Procfile")


def test_the_wheel_leaves_the_namespace_open_and_brings_its_licence(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    assert "pixfleet/__init__.py" not in held
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} == {"pixfleet"}
    assert any(name.endswith("licenses/LICENSE") for name in held)


@pytest.mark.parametrize("module", ["PIL", "cv2", "numpy", "flower", "obstore"])
def test_the_light_install_brings_no_imaging_library(light_env, tmp_path, module):
    found = _python(light_env, f"import {module}", tmp_path)
    assert f"No module named '{module}'" in found.stderr


def test_the_light_install_says_what_its_dashboard_lacks(light_env, tmp_path):
    celery = [light_env.with_name("celery"), "dashboard"]
    done = subprocess.run(
        celery, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "flower is not installed: pip install 'pixfleet[monitor]'" in done.stderr


def test_the_light_install_makes_a_job_from_another_folder(light_env, tmp_path):
    code = (
        "from pixfleet.producer import ImageJob, Producer\n"
        "from pixfleet.config.recipes import load_recipe\n"
        "job = ImageJob(source='cat.jpg', output='out', recipe=load_recipe('web'))\n"
        "print(Producer.__module__, len(job.recipe.variants))"
    )
    done = _python(light_env, code, tmp_path)
    assert done.stdout.split() == ["pixfleet.producer.client", "5"], done.stderr


def test_a_top_level_config_of_the_application_stays_its_own(light_env, tmp_path):
    (tmp_path / "config.py").write_text("MINE = True\n")
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "import config, pixfleet.producer\n"
        "print(config.MINE, pixfleet.config.__name__)"
    )
    assert _python(light_env, code, tmp_path).stdout.split() == ["True", "pixfleet.config"]


def test_the_light_install_has_a_command_line(light_env, tmp_path):
    done = subprocess.run(
        [light_env.with_name("pixfleet"), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "submit" in done.stdout
