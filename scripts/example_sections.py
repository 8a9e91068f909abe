"""For the pages of the package: `Example:` in a docstring is mkdocstrings' `Examples:`, code and its output.

Left as it is, it would be read as Markdown, `>>>` as a quotation in a quotation.
"""

import re
from typing import Any

from griffe import Extension, Object


class ExampleSections(Extension):
    """Named in mkdocs.yml."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section of each object that has one."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub("^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
