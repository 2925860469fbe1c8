"""docs/configuration.md: every setting with its variable, its default and what it is."""

from __future__ import annotations

from pathlib import Path

from .settings import GROUPS, variable


def document() -> str:
    """docs/configuration.md, generated from the models."""
    lines = [
        "# Configuration",
        "",
        "Generated from `config/*settings.py` by `make docs`. Settings are environment variables;",
        "each has a default that works on a laptop.",
    ]
    for group in GROUPS:
        lines += ["", f"## {(group.__doc__ or '').strip().rstrip('.')}", ""]
        lines += ["| variable | default | what it is |", "|---|---|---|"]
        for name, field in group.model_fields.items():
            empty = str(field.default) in ("", "()")
            default = "(empty)" if empty else f"`{field.default}`"
            lines.append(f"| `{variable(group, name)}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path("docs/configuration.md").write_text(document(), encoding="utf-8")
