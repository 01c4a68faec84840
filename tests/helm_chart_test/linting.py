"""yamllint on what is rendered: duplicate keys above all, which YAML parsers silently merge."""

from yamllint import linter
from yamllint.config import YamlLintConfig

# Helm's `toYaml` neither indents lists nor breaks lines, and templates leave empty lines.
_RULES = """
extends: default
rules:
  comments: disable
  document-start: disable
  empty-lines: disable
  indentation: {spaces: consistent, indent-sequences: whatever}
  line-length: disable
  quoted-strings: disable
  truthy: {check-keys: false}
"""


def style_problems(text: str) -> list[str]:
    """Return yamllint's complaints about rendered text, with the line each is about."""
    lines = text.splitlines()
    return [
        f"line {problem.line}: {problem.desc} ({problem.rule}): {lines[problem.line - 1].strip()}"
        for problem in linter.run(text, YamlLintConfig(_RULES))
    ]
